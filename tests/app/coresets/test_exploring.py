"""A closer look at coresets over HTTP: all samples behind one, and what comparisons found."""

from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.storage import Storage
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.jobs import ArtifactRow, JobRow, StageRow
from dealrec.config import SelectionConfig
from dealrec.coresets.landscape import nearest
from dealrec.selection.vectors import MadeVectors, Vectors
from tests.app.comparisons import finished_comparison
from tests.app.conftest import Finisher


def test_samples_are_filtered_and_sorted_whether_taken_or_not(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    path = f"/v1/coresets/{made.coreset}/scored-samples"
    scores = client.get(f"/v1/jobs/{made.job}/scores?limit=200").json()["data"]
    left_out = [one for one in scores if not one["selected"]]
    asked = {"selected": "false", "sort": "influence", "descending": "true", "limit": "10"}
    first = client.get(path, params=asked).json()
    second = client.get(path, params={**asked, "after": first["next"]}).json()
    expected = sorted(left_out, key=lambda one: -one["influence"])
    assert first["matches"] == len(left_out) == 48
    assert [one["sample_key"] for one in first["data"] + second["data"]] == [
        one["sample_key"] for one in expected[:20]
    ]
    high = client.get(path, params={**asked, "low": str(expected[4]["influence"])}).json()
    assert high["matches"] == 5 and not high["has_more"]
    stratum = client.get(path, params={"stratum": 2}).json()
    assert stratum["matches"] == sum(one["stratum"] == 2 for one in scores)
    taken = client.get(path, params={"selected": "true", "limit": 50}).json()["data"]
    members = client.get(f"/v1/coresets/{made.coreset}/samples?limit=50").json()["data"]
    assert [one["output"] for one in taken] == [one["output"] for one in members]
    assert client.get(path, params={"sort": "beauty"}).status_code == 422


def test_samples_are_found_by_the_titles_of_their_targets_and_histories(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    path = f"/v1/coresets/{made.coreset}/scored-samples"
    every = client.get(path, params={"limit": 100}).json()["data"]
    wanted = every[0]["target"]
    by_target = client.get(path, params={"target": wanted.upper(), "limit": 100}).json()["data"]
    by_text = client.get(path, params={"text": wanted, "limit": 100}).json()["data"]
    assert [one["sample_key"] for one in by_target] == [
        one["sample_key"] for one in every if wanted in one["target"]
    ]
    assert [one["sample_key"] for one in by_text] == [
        one["sample_key"]
        for one in every
        if any(wanted in item for item in (*one["history"], one["target"]))
    ]


@pytest.mark.parametrize(
    ("method", "size", "strata", "covered"),
    [
        ("dealrec", 128, 50, 1),
        ("dealrec", 12, 50, 0),
        ("dealrec", 128, 7, 0),
        (SelectionConfig().method.value, 128, 50, 0),  # the controls are no selection like this one
    ],
)
def test_the_verdict_of_a_comparison_is_on_the_coresets_that_it_covers(
    client: TestClient,
    finisher: Finisher,
    database: Database,
    storage: Storage,
    tmp_path: Path,
    method: str,
    size: int,
    strata: int,
    covered: int,
) -> None:
    made = finisher.all()
    selection = SelectionConfig.parse({"method": method, "strata": strata})
    with database.session() as session:
        row = session.get_one(CoresetRow, made.coreset)
        row.size, row.selection = size, selection.model_dump(mode="json")
    job = finished_comparison(database, storage, tmp_path, "default", made.dataset)
    found = client.get(f"/v1/coresets/{made.coreset}/verdicts").json()["data"]
    assert len(found) == covered
    page = client.get(f"/console/coresets/{made.coreset}?tab=compare").text
    assert ("better than random</span>" in page) == bool(covered)
    if covered:
        assert found[0]["job_id"] == job and found[0]["better_than_random"] is True
        assert found[0]["finding"].startswith("`dealrec` at 128 samples")
    else:
        assert "No comparison has measured a selection like this one" in page


def test_the_comparison_with_random_is_offered_with_what_it_takes(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    cost = client.get(f"/console/coresets/{made.coreset}/comparison-cost").text
    assert cost.startswith("This takes about ") and cost.endswith("trainings).")
    asked = {"dataset_id": made.dataset, "budgets": "12", "selector": "dealrec"}
    form = client.get("/console/comparisons/new", params=asked).text
    assert 'name="budgets" value="12"' in form
    assert 'name="selector.dealrec" value="1" checked' in form
    assert 'name="selector.influence_strata" value="1" checked' not in form


def test_a_map_places_all_samples_and_a_box_on_it_lists_those_inside(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    path = f"/v1/coresets/{made.coreset}"
    found = client.get(f"{path}/map").json()
    assert (found["source"], found["samples"], len(found["points"])) == ("items", 60, 60)
    assert sum(one["selected"] for one in found["points"]) == 12
    assert sum(one["at_random"] for one in found["points"]) == 12
    box = {"left": 0.2, "right": 0.8, "bottom": 0.1, "top": 0.7}
    inside = [
        one["sample_key"]
        for one in found["points"]
        if 0.2 <= one["x"] <= 0.8 and 0.1 <= one["y"] <= 0.7
    ]
    listed = client.get(f"{path}/scored-samples", params={**box, "limit": 100}).json()["data"]
    assert [one["sample_key"] for one in listed] == inside and 0 < len(inside) < 60
    corners = [(0.2, 0.1), (0.8, 0.1), (0.8, 0.7), (0.2, 0.7)]
    area = " ".join(f"{x},{y}" for x, y in corners)
    drawn = client.get(f"{path}/scored-samples", params={"area": area, "limit": 100}).json()["data"]
    assert [one["sample_key"] for one in drawn] == inside
    for bad in ("0.1,0.1 0.9,0.1", "0.1 0.2 0.3", "a,b c,d e,f", "0,0 1,1 nan,0"):
        refused = client.get(f"{path}/scored-samples", params={"area": bad}).json()
        assert refused["code"] == "invalid_area", bad
    few = client.get(f"{path}/map", params={"limit": 20}).json()["points"]
    assert len(few) == 20 and sum(one["selected"] for one in few) >= 10
    part = client.get(f"/console/coresets/{made.coreset}/map").text
    assert part.count("<circle") == 60 and "no job on this data set has made embeddings" in part
    assert 'data-influence="5"' in part and "data-effort" not in part


def test_neighbours_are_by_the_embeddings_of_a_job_on_the_same_samples(
    client: TestClient, finisher: Finisher, database: Database, storage: Storage, tmp_path: Path
) -> None:
    made = finisher.all()
    vectors = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    other = client.post("/v1/jobs", json={"dataset_id": made.dataset, "budget": 5}).json()["id"]
    MadeVectors(Vectors(vectors), {"source": "surrogate"}).save(tmp_path / "vectors")
    storage.put_folder("artifacts/default/st_v/1", tmp_path / "vectors")
    with database.session() as session:
        row = session.get_one(JobRow, made.job)
        row.config = {**row.config, "sampling": "per_user"}  # as planning leaves it
        common = {"tenant_id": "default"}
        session.add(
            ArtifactRow(
                **common,
                id="art_v",
                stage="embedding",
                key="v" * 64,
                prefix="artifacts/default/st_v/1",
                created_at=database_now(session),
            )
        )
        session.flush()
        session.add(
            StageRow(
                **common,
                id="st_v",
                dataset_id=made.dataset,
                job_id=other,
                name="embedding",
                queue="cpu",
                state="succeeded",
                artifact_id="art_v",
                needs=[],
            )
        )
    path = f"/v1/coresets/{made.coreset}/neighbours"
    key = client.get(f"/v1/jobs/{made.job}/scores").json()["data"][3]["sample_key"]
    found = client.get(path, params={"sample_key": key, "limit": 4}).json()
    expected, cosines = nearest(vectors, 3, 4)
    keys = [
        one["sample_key"]
        for one in client.get(f"/v1/jobs/{made.job}/scores?limit=100").json()["data"]
    ]
    assert found["source"] == "surrogate"
    assert [one["sample_key"] for one in found["data"]] == [keys[index] for index in expected]
    assert found["data"][0]["similarity"] == pytest.approx(float(cosines[0]), abs=1e-4)
    part = client.get(path.replace("/v1", "/console"), params={"sample_key": key}).text
    assert "surrogate’s embeddings" in part and part.count("<li>") == 8
    assert client.get(path, params={"sample_key": "nobody"}).status_code == 404
