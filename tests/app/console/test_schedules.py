"""The pages of schedules, and the drift on the page of a data set."""

from tests.app.console.test_pages import token_of
from tests.app.schedules.conftest import World, database_url, world  # noqa: F401 - fixtures

MOVED = {"popularity": 0.25, "new_items": 0.125, "new_item_interactions": 0.5}


def test_a_schedule_is_made_shown_with_its_ticks_paused_and_deleted(world: World) -> None:  # noqa: F811
    client = world.client
    page = client.get("/console/schedules").text
    form = {"csrf": token_of(page), "name": "nightly", "dataset_id": world.dataset}
    form |= {"kind": "cron", "cron": "x", "time_zone": "Europe/Berlin", "budget": "50"}
    form |= {"budget_unit": "percent", "preset": "default", "continue_last": "1"}
    refused = client.post("/console/schedules", data=form)
    assert refused.status_code == 422 and "five fields are minute, hour" in refused.text
    assert 'value="nightly"' in refused.text
    shown = client.post("/console/schedules", data={**form, "cron": "0 3 * * *"}).text
    assert "0 3 * * *" in shown and "Not due yet" in shown
    (schedule,) = client.get("/v1/schedules").json()["data"]
    assert schedule["job"] == {"budget": 0.5, "config": {}, "continue_last": True}
    world.at(schedule["next_due"][0])
    (job,) = world.jobs(schedule)
    place = f"/console/schedules/{schedule['id']}"
    page = client.get(place).text
    assert f"/console/jobs/{job['id']}" in page and "made" in page
    assert place in client.get(f"/console/jobs/{job['id']}").text
    busy = client.post(f"{place}/run", data=form)
    assert busy.status_code == 409 and job["id"] in busy.text
    world.end_jobs()
    run = client.post(f"{place}/run", data=form).url.path
    assert run == f"/console/jobs/{world.jobs(schedule)[1]['id']}"
    page = client.get(place).text
    assert "run by hand" in page and "Run now" in page
    page = client.post(f"{place}/switch", data=form).text
    assert "Resume" in page and "Run now" not in page
    assert "nightly" in client.get("/console/schedules").text
    assert "No schedules yet" in client.post(f"{place}/delete", data=form).text


def test_a_job_is_repeated_with_its_options_and_a_version_shows_its_drift(world: World) -> None:  # noqa: F811
    client = world.client
    order = {"dataset_id": world.dataset, "budget": 5, "config": {"effort": None, "min_history": 2}}
    job = client.post("/v1/jobs", json=order).json()["id"]
    assert f"/console/schedules?like={job}" in client.get(f"/console/jobs/{job}").text
    page = client.get("/console/schedules", params={"like": job}).text
    assert f'name="like" value="{job}"' in page
    form = {"csrf": token_of(page), "name": "x", "dataset_id": world.dataset, "like": job}
    form |= {"kind": "drift", "measure": "new_items", "above": "0.3", "budget": "5"}
    shown = client.post("/console/schedules", data=form).text
    assert "drift of new items above 0.3" in shown
    (schedule,) = client.get("/v1/schedules").json()["data"]
    assert schedule["job"]["config"]["min_history"] == 2
    version = client.get(f"/console/datasets/{world.version(MOVED)}").text
    assert "12.5 %" in version and "0.25" in version and "50 %" in version
