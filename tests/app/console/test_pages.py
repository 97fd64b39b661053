"""The console's pages: who may see them, what they refuse, what they show."""

import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from dealrec.app.kit.database import Database
from dealrec.app.tables.datasets import DatasetRow
from tests.app.conftest import Finisher


def token(client: TestClient) -> str:
    """The token of the forms that this browser was given."""
    return token_of(client.get("/console/datasets").text)


def token_of(page: str) -> str:
    return found_in(page, r'name="csrf" value="([^"]+)"')


def found_in(page: str, pattern: str) -> str:
    """The first group of the pattern where the page first matches it."""
    found = re.search(pattern, page)
    assert found is not None
    return found[1]


def test_every_page_forbids_inline_scripts_and_styles_and_has_none(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    for path in (
        "/",
        "/console/datasets",
        f"/console/datasets/{made.dataset}",
        f"/console/datasets/{made.dataset}/samples",
        f"/console/datasets/{made.dataset}/shape",
        f"/console/datasets/{made.dataset}/delete",
        "/console/jobs",
        "/console/jobs/new",
        f"/console/jobs/{made.job}",
        f"/console/jobs/{made.finetune}",
        f"/console/jobs/{made.job}/plots",
        "/console/comparisons/new",
        "/console/models",
        "/console/server",
        "/console/keys",
        "/console/schedules",
        "/console/webhooks",
        f"/console/webhooks/{made.webhook}",
        "/console/coresets",
        f"/console/coresets/{made.coreset}",
        f"/console/coresets/{made.coreset}/map",
        "/console/adapters",
        f"/console/adapters/{made.adapter}",
        "/console/sign-in",
    ):
        answer = client.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy and "default-src 'none'" in policy
        assert not re.search(r"<script>|<style|\sstyle=|\son[a-z]+=", answer.text), path


def test_a_problem_is_a_page_for_people_and_a_document_for_programs(client: TestClient) -> None:
    page = client.get("/console/jobs/job_0")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "Not found" in page.text and "not_found" in page.text
    assert client.get("/v1/jobs/job_0").headers["content-type"] == "application/problem+json"
    part = client.get("/console/jobs/job_0/live", headers={"hx-request": "true"})
    assert "<html" not in part.text and "not_found" in part.text


def test_a_rejected_file_is_read_again_with_what_was_chosen_before(
    client: TestClient, csv: bytes, database: Database
) -> None:
    made = client.post(
        "/v1/datasets",
        files={"interactions": ("x.csv", csv)},
        data={"options": '{"columns": {"user_id": "who"}, "min_rating": 3}'},
    ).json()
    error: dict[str, object] = {
        "code": "missing_column",
        "title": "The file cannot be used",
        "detail": "x",
        "files": [{"file": "x.csv", "columns": ["user", "thing"]}],
    }
    with database.session() as session:
        row = session.get_one(DatasetRow, made["id"])
        row.state, row.error, row.prefix = "rejected", error, "datasets/x"
    path = f"/console/datasets/{made['id']}"
    page = client.get(path).text
    assert found_in(page, r'name="options.columns.user_id" value="([^"]*)"') == "who"
    assert found_in(page, r'name="options.min_rating" value="([^"]*)"') == "3.0"
    assert "<option>thing</option>" in page
    assert "x.csv is read again" in " ".join(page.split())
    assert found_in(page, r'name="source_dataset_id" value="([^"]*)"') == made["id"]


def test_a_data_set_says_how_its_files_were_read_and_what_it_counts(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    made = finisher.dataset()
    with database.session() as session:
        row = session.get_one(DatasetRow, made.id)
        assert row.report is not None
        said = [
            "the layout `amazon-ratings` was detected",
            "there is no header",
            "`user_id` is `x`",
        ]
        warnings = [{"code": "x", "message": "Add a `position` column."}]
        row.report = {**row.report, "read": [{"file": "x.csv", "said": said}], "warnings": warnings}
    page = client.get(f"/console/datasets/{made.id}").text
    assert "x.csv: the layout <code>amazon-ratings</code> was detected; there is no header." in page
    assert "Add a <code>position</code> column." in page
    assert "samples, one per user" in page
    lengths = client.get(f"/console/datasets/{made.id}/shape").text
    assert "in ten has 8 or more" in lengths


def test_names_from_outside_are_text(client: TestClient, csv: bytes) -> None:
    files = {"interactions": ("x.csv", csv)}
    client.post("/v1/datasets", files=files, data={"name": "<script>alert(1)</script>"})
    page = client.get("/console/datasets").text
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page


def test_a_form_without_the_token_or_from_another_site_changes_nothing(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.dataset()
    path = f"/console/datasets/{made.id}/delete"
    good = token(client)
    for data, headers in (
        ({}, {}),
        ({"csrf": "wrong"}, {}),
        ({"csrf": good}, {"origin": "http://127.0.0.1:9"}),
    ):
        answer = client.post(path, data=data, headers=headers)
        assert answer.status_code == 403 and "foreign_form" in answer.text
    assert client.get(f"/v1/datasets/{made.id}").status_code == 200
    assert client.post(path, data={"csrf": good}, follow_redirects=False).status_code == 303
    assert client.get(f"/v1/datasets/{made.id}").status_code == 404


def test_a_job_is_made_from_the_form_as_from_the_api(
    client: TestClient, finisher: Finisher
) -> None:
    dataset = finisher.dataset()
    form = {
        "csrf": token(client),
        "dataset_id": dataset.id,
        "budget": "20",
        "budget_unit": "percent",
        "surrogate.epochs": "3",
        "selection.strata": "7",
    }
    made = client.post("/console/jobs", data=form, follow_redirects=False)
    assert made.status_code == 303
    job = client.get(f"/v1/jobs/{made.headers['location'].rsplit('/', 1)[-1]}").json()
    assert job["budget"] == {"requested": 0.2, "samples": 12}
    assert job["config"]["effort"] is None and job["config"]["finetune"] is None
    assert job["config"]["surrogate"]["epochs"] == 3
    assert job["config"]["selection"]["strata"] == 7
    wrong = client.post("/console/jobs", data={**form, "selection.strata": "0"})
    assert wrong.status_code == 422
    assert "config.selection.strata" in wrong.text and 'value="3"' in wrong.text


def test_another_selection_is_kept_and_shown_beside_the_first(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    form = {"csrf": token(client), "budget": "6", "selection.strata": "3"}
    answer = client.post(f"/console/coresets/{made.coreset}/reselect", data=form)
    assert answer.status_code == 200
    assert "games · 6 samples · dealrec" in answer.text and "Jaccard" in answer.text
    assert len(client.get(f"/v1/coresets?job_id={made.job}").json()["data"]) == 2


@pytest.mark.parametrize("action", ["cancel", "pause"])
def test_a_job_is_stopped_by_its_buttons(
    client: TestClient, finisher: Finisher, database: Database, action: str
) -> None:
    body = {"dataset_id": finisher.dataset().id, "budget": 5}
    job = client.post("/v1/jobs", json=body).json()["id"]
    assert f"/console/jobs/{job}/{action}" in client.get(f"/console/jobs/{job}").text
    client.post(f"/console/jobs/{job}/{action}", data={"csrf": token(client)})
    state = client.get(f"/v1/jobs/{job}").json()["state"]
    assert state == {"cancel": "cancelled", "pause": "paused"}[action]


def test_a_stage_that_workers_share_shows_how_many_shards_are_done(
    client: TestClient, finisher: Finisher
) -> None:
    config = {"effort": {"shard_samples": 10}}
    body = {"dataset_id": finisher.dataset().id, "budget": 5, "config": config}
    job = client.post("/v1/jobs", json=body).json()["id"]
    assert "0 of 6 shards" in client.get(f"/console/jobs/{job}").text


def test_a_job_like_another_starts_at_its_values_and_presets_at_theirs(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    form = client.get(f"/console/jobs/new?like={made.job}").text
    assert re.search(r'name="selection.strata" value="5"', form)
    assert re.search(r'name="budget" value="12"', form)
    assert 'name="use.effort" value="1" checked' not in form
    published = client.get("/console/jobs/new?preset=published").text
    assert '<option value="dealrec_paper" selected>' in published
    assert client.get(f"/console/jobs/new?like={made.finetune}").status_code == 404
    assert client.get("/console/jobs/new?preset=best").status_code == 404


def test_a_preset_keeps_what_was_entered_and_decides_about_the_method(
    client: TestClient, finisher: Finisher
) -> None:
    form = {
        "csrf": token(client),
        "dataset_id": finisher.dataset().id,
        "budget": "37",
        "base": "default",
        "preset": "effort",
        "selection.method": "el2n",
        "surrogate.epochs": "3",
    }
    for headers in ({"hx-request": "true"}, {}):
        page = client.post("/console/jobs/preset", data=form, headers=headers).text
        assert re.search(r'name="surrogate.epochs" value="3"', page)
        assert re.search(r'<option value="dealrec" selected>', page)
        assert (
            'name="use.effort" value="1" checked' in page and 'name="base" value="effort"' in page
        )
    assert re.search(r'name="budget" value="37"', page)
    back = {**form, "base": "effort", "preset": "default", "use.effort": "1"}
    page = client.post("/console/jobs/preset", data=back).text
    assert 'name="use.effort" value="1" checked' not in page
    assert '<option value="thinned_influence" selected>' in page
    assert re.search(r'name="surrogate.epochs" value="3"', page)


def test_a_refused_form_stays_open_whatever_refused_it(
    client: TestClient, make_key: Callable[..., dict[str, str]], finisher: Finisher
) -> None:
    dataset = finisher.dataset("ours")
    may_look = make_key("ours", scopes={"read"})
    page = client.get("/console/jobs/new", headers=may_look).text
    assert "you cannot send this form" in page and re.search(r'class="primary" disabled', page)
    form = {"csrf": token_of(page), "dataset_id": dataset.id, "budget": "x"}
    part = {"hx-request": "true"}
    for headers, status, words in (
        (may_look, 403, "scope_missing"),
        ({}, 401, "Sign in</a> in another tab"),
        (make_key("ours"), 422, 'data-at="budget"'),
    ):
        answer = client.post("/console/jobs", data=form, headers={**headers, **part})
        assert answer.status_code == status and words in answer.text
        assert "<html" not in answer.text and "hx-redirect" not in answer.headers
    again = {**part, **make_key("ours")}
    made = client.post("/console/jobs", data={**form, "budget": "5"}, headers=again)
    assert made.status_code == 200 and made.headers["hx-redirect"].startswith("/console/jobs/job_")
    assert client.post("/console/jobs/preset", data=form, headers=may_look).status_code == 200


def test_a_sample_that_was_left_out_is_looked_up_with_its_words(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    taken = {
        s["sample_key"] for s in client.get(f"/v1/coresets/{made.coreset}/samples").json()["data"]
    }
    scores = client.get(f"/v1/jobs/{made.job}/scores").json()["data"]
    key = next(score["sample_key"] for score in scores if score["sample_key"] not in taken)
    place = f"/console/coresets/{made.coreset}/explanation"
    part = client.get(place, params={"sample_key": key, "text": "true"}).text
    assert key in part and "left out" in part and "Instruction" in part
    assert client.get(place, params={"sample_key": "nobody", "text": "true"}).status_code == 404


def test_other_budgets_are_shown_beside_random_ones_or_what_is_wrong_with_them(
    client: TestClient, finisher: Finisher
) -> None:
    sweep = f"/console/jobs/{finisher.all().job}/sweep"
    table = client.get(sweep, params={"budgets": "6, 0.5"}).text
    assert re.findall(r'<th scope="row"[^>]*>(\d+)</th>', table) == ["6", "30"]
    assert "invalid_budget" in client.get(sweep, params={"budgets": "few"}).text


def test_a_live_page_gets_buttons_and_results_only_when_they_change(
    client: TestClient, finisher: Finisher
) -> None:
    live = f"/console/jobs/{finisher.all().job}/live"
    changed = client.get(live, params={"seen": "running None None"}).text
    assert 'id="job-results" hx-swap-oob="true"' in changed and "every 1s" not in changed
    body = {"dataset_id": finisher.dataset().id, "budget": 5}
    job = client.post("/v1/jobs", json=body).json()["id"]
    page = client.get(f"/console/jobs/{job}").text
    again = found_in(page, r'hx-get="([^"]+/live\?seen=[^"]+)"')
    assert "hx-swap-oob" not in client.get(again).text


def test_an_adapter_is_asked_for_on_the_coresets_page(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    form = {"csrf": token(client), "finetune.epochs": "2", "finetune.lora.rank": "4"}
    place = f"/console/coresets/{made.coreset}/finetune"
    answer = client.post(place, data=form, follow_redirects=False)
    job = client.get(f"/v1/jobs/{answer.headers['location'].rsplit('/', 1)[-1]}").json()
    assert job["kind"] == "finetune" and job["source_coreset_id"] == made.coreset
    assert job["config"]["epochs"] == 2 and job["config"]["lora"]["rank"] == 4


def test_coresets_and_adapters_are_deleted_by_their_buttons(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    csrf = {"csrf": token(client)}
    client.post(f"/console/adapters/{made.adapter}/delete", data=csrf)
    assert client.get(f"/v1/adapters/{made.adapter}").status_code == 404
    form = {**csrf, "budget": "6", "selection.strata": "3"}
    again = client.post(f"/console/coresets/{made.coreset}/reselect", data=form)
    client.post(f"{again.url.path}/delete", data=csrf)
    assert len(client.get(f"/v1/coresets?job_id={made.job}").json()["data"]) == 1


def test_a_browser_at_an_unknown_address_sees_a_page_and_a_program_sees_the_problem(
    client: TestClient,
) -> None:
    page = client.get("/nonsense", headers={"accept": "text/html,*/*"})
    assert page.status_code == 404 and "<h1>" in page.text
    assert "content-security-policy" in page.headers
    assert client.get("/nonsense").json()["code"] == "not_found"
    asked = client.get("/v1/nonsense", headers={"accept": "text/html"})
    assert asked.headers["content-type"].startswith("application/problem+json")
