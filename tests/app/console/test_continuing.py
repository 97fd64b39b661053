"""The form for a new job offers to go on from a job on an earlier version of the data."""

from fastapi.testclient import TestClient

from dealrec.app.tables.datasets import DatasetRow
from tests.app.conftest import Finisher
from tests.app.console.test_pages import token


def test_a_job_on_a_later_version_can_go_on_from_one_on_an_earlier(
    client: TestClient, csv: bytes, finisher: Finisher
) -> None:
    made = finisher.all()
    appended = client.post(
        f"/v1/datasets/{made.dataset}/append", files={"interactions": ("june.csv", csv)}
    ).json()
    first = client.get("/console/jobs/new", params={"dataset_id": made.dataset}).text
    assert 'name="continue_from"' not in first
    form = {"csrf": token(client), "dataset_id": appended["id"], "budget": "5"}
    part = client.post("/console/jobs/going-on", data=form).text
    assert f'<option value="{made.job}">' in part and made.finetune not in part
    assert "keeps all earlier samples and adds new ones" in part
    changed = {**form, "continue_from": made.job, "base": "default", "finetune.epochs": "9"}
    options = client.post("/console/jobs/options-of", data=changed).text
    assert f'name="like" value="{made.job}"' in options
    assert 'name="selection.strata" value="5"' in options  # as that job
    assert 'name="finetune.epochs" value="9"' in options  # as it was entered
    asked = {
        **form,
        "continue_from": made.job,
        "continuation.coreset": "replace",
        "continuation.replaced_share": "0.5",
        "continuation.surrogate_epochs": "2",
        "continuation.surrogate_replay": "0.5",
        "continuation.adapter": "false",
    }
    refused = client.post("/console/jobs", data={**asked, "continuation.replaced_share": "2"})
    assert refused.status_code == 422 and 'data-at="continuation.replaced_share"' in refused.text
    assert f'<option value="{made.job}" selected>' in refused.text
    started = client.post("/console/jobs", data=asked, follow_redirects=False)
    job = client.get(started.headers["location"].replace("/console", "/v1")).json()
    assert job["continue_from"] == made.job
    assert job["continuation"] == {
        "coreset": "replace",
        "replaced_share": 0.5,
        "surrogate_epochs": 2,
        "surrogate_replay": 0.5,
        "adapter": False,
        "replay": 1.0,
    }
    like = client.get("/console/jobs/new", params={"like": job["id"]}).text
    assert f'<option value="{made.job}" selected>' in like
    assert '<option value="replace" selected>' in like
    anew = client.post(
        "/console/jobs", data={**asked, "continue_from": ""}, follow_redirects=False
    ).headers["location"]
    assert client.get(anew.replace("/console", "/v1")).json()["continuation"] is None


def test_a_list_says_how_many_texts_a_data_set_of_texts_has(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.dataset()
    with finisher.database.session() as session:
        row = session.get_one(DatasetRow, made.id)
        row.counts = {**(row.counts or {}), "items": 0, "interactions": 0, "samples_given": 600}
        row.report = {**(row.report or {}), "kind": "texts"}
    for path in ("/", "/console/datasets"):
        page = client.get(path).text
        assert "600 texts without ids of items" in page
        assert 'data-label="items"' not in page
