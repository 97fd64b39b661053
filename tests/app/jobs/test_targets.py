"""Jobs that are given a target in place of a budget, which a comparison's curve turns into one."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dealrec.app.jobs.lifecycle import dataset_ready, stages_of
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ArtifactRow, JobRow, StageRow
from dealrec.config import PruneConfig
from dealrec.config.curve import TargetUse
from tests.app.conftest import Finisher
from tests.app.console.test_pages import token
from tests.dealrec.comparison.curves import made_curve

TRAINED = {"finetune": {"recommender": "encoder", "lora": {"last_layers": 0}}}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough: the query of curves is plain."""
    return sqlite_url


def draw(database: Database, dataset: DatasetRow, config: dict[str, Any], **how: Any) -> None:
    """Leave the artifact of a comparison that has drawn a curve."""
    assert dataset.sha256 is not None
    curve = made_curve(dataset.sha256, PruneConfig.parse(config), **how)
    with database.session() as session:
        session.add(
            ArtifactRow(
                id=new_id("art"),
                tenant_id=dataset.tenant_id,
                stage="compare",
                key=new_id("key").ljust(64, "0"),
                prefix="artifacts/x",
                details={"verdict": "", "curve": curve.model_dump(mode="json")},
                created_at=database_now(session),
            )
        )


def asked(dataset: DatasetRow, target: Any = "90 % of full", **fields: Any) -> dict[str, Any]:
    return {"dataset_id": dataset.id, "target": target, **fields}


def test_a_target_becomes_the_budget_that_reaches_it_on_the_curve(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    dataset = finisher.dataset()
    draw(database, dataset, TRAINED)
    for target, samples in (("90 % of full", 25), (0.5, 10), ("95%", 50)):
        job = client.post("/v1/jobs", json=asked(dataset, target, config=TRAINED)).json()
        assert job["budget"] == {"requested": samples, "samples": samples}
        assert job["target"]["use"]["samples"] == samples
    assert job["target"]["target"] == 0.95
    assert job["target"]["use"]["share"]["mean"] == 0.98
    assert client.get(f"/v1/jobs/{job['id']}").json() == job
    found = client.post("/v1/estimates", json=asked(dataset, config=TRAINED)).json()
    assert found["budget"] == {"requested": 25, "samples": 25}
    page = client.get(f"/console/jobs/{job['id']}").text
    assert "this many samples gave 98 % [94, 102] of what all 60 samples give" in page


def test_the_selection_of_a_target_has_a_key_of_its_own_and_the_stages_before_do_not(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    dataset = finisher.dataset()
    draw(database, dataset, TRAINED)
    body = {"dataset_id": dataset.id, "budget": 25, "config": TRAINED}
    jobs = [
        client.post("/v1/jobs", json=one).json()["id"]
        for one in (asked(dataset, config=TRAINED), body)
    ]
    with database.session(write=False) as session:
        rows = [session.get_one(JobRow, job) for job in jobs]
        first, second = ({s.name: s.key for s in stages_of(session, row)} for row in rows)
        assert rows[0].target_use is not None
        assert TargetUse.model_validate(rows[0].target_use).curve.full == 60
    assert {name for name in first if first[name] != second[name]} == {"select", "finetune"}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another prompt": ({**TRAINED, "prompt": {"history_items": 3}}, "submit-comparison"),
    "another recommender": ({"finetune": {}}, "`smollm2-135m`"),
    "another training": (
        {"finetune": {**TRAINED["finetune"], "epochs": 9}},
        "`finetune.epochs=1`, so",
    ),
    "other samples": ({**TRAINED, "min_history": 2}, "submit-comparison"),
}


@pytest.mark.parametrize(("config", "said"), REFUSED.values(), ids=REFUSED)
def test_without_a_curve_for_the_job_the_refusal_names_the_command_that_draws_one(
    client: TestClient, finisher: Finisher, database: Database, config: dict[str, Any], said: str
) -> None:
    dataset = finisher.dataset()
    draw(database, dataset, TRAINED)
    for path in ("/v1/jobs", "/v1/estimates"):
        answer = client.post(path, json=asked(dataset, config=config))
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "no_curve")
        assert problem["errors"][0]["location"] == "target"
        assert said in problem["detail"] and "--curve" in problem["detail"]
    assert client.get("/v1/jobs").json()["data"] == []


def test_a_curve_without_a_gain_and_curves_of_two_models_name_no_budget(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    dataset = finisher.dataset()
    draw(database, dataset, TRAINED, gain=False)
    flat = client.post("/v1/jobs", json=asked(dataset)).json()
    assert (
        flat["code"] == "no_curve"
        and "not show that training on all samples is better" in flat["detail"]
    )
    draw(database, dataset, {"finetune": {}})
    two = client.post("/v1/jobs", json=asked(dataset)).json()
    assert "`bigrec`" in two["detail"] and "`finetune`" in two["detail"]
    made = client.post("/v1/jobs", json=asked(dataset, config={"finetune": {}})).json()
    assert made["budget"]["samples"] == 25


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "both": ({"budget": 5, "target": 0.5}, "budget"),
    "neither": ({}, "budget"),
    "above all": ({"target": 1.2}, "target"),
    "no share": ({"target": "most of it"}, "target"),
}


@pytest.mark.parametrize(("fields", "location"), BAD.values(), ids=BAD)
def test_a_bad_target_is_refused_where_it_is_wrong(
    client: TestClient, finisher: Finisher, fields: dict[str, Any], location: str
) -> None:
    answer = client.post("/v1/jobs", json={"dataset_id": finisher.dataset().id, **fields})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == location


def test_a_job_on_a_data_set_that_is_validated_gets_its_budget_when_that_is_ready(
    client: TestClient, csv: bytes, finisher: Finisher, database: Database
) -> None:
    known = finisher.dataset()
    draw(database, known, TRAINED)
    form = {"target": "90 %", "config": json.dumps(TRAINED)}
    job = client.post("/v1/prune", data=form, files={"interactions": ("a.csv", csv)}).json()
    assert (job["budget"], job["target"]) == (None, {"target": 0.9, "use": None})
    with database.session() as session:
        row = session.get_one(DatasetRow, job["dataset_id"])
        for name in ("sha256", "counts", "report", "train_lengths"):
            setattr(row, name, getattr(known, name))
        row.state = "ready"
        session.flush()
        dataset_ready(session, row)
        assert session.query(StageRow).filter_by(job_id=job["id"], state="queued").count()
    found = client.get(f"/v1/jobs/{job['id']}").json()
    assert found["budget"] == {"requested": 25, "samples": 25}


def test_the_console_asks_for_a_target_as_the_api_does(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    dataset = finisher.dataset()
    draw(database, dataset, TRAINED)
    form = {
        "csrf": token(client),
        "dataset_id": dataset.id,
        "budget": "90",
        "budget_unit": "target",
    }
    made = client.post("/console/jobs", data=form, follow_redirects=False)
    job = client.get(f"/v1/jobs/{made.headers['location'].rsplit('/', 1)[-1]}").json()
    assert (job["target"]["target"], job["budget"]["samples"]) == (0.9, 25)
    again = client.get(f"/console/jobs/new?like={job['id']}").text
    assert 'value="90"' in again and '<option value="target" selected>' in again
