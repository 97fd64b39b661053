"""A closer look at coresets over HTTP: all samples behind one, and what comparisons found."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.tables.coresets import CoresetRow
from dealrec.config import SelectionConfig
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


@pytest.mark.parametrize(("size", "strata", "covered"), [(128, 50, 1), (12, 50, 0), (128, 7, 0)])
def test_the_verdict_of_a_comparison_is_on_the_coresets_that_it_covers(
    client: TestClient,
    finisher: Finisher,
    database: Database,
    storage: Storage,
    tmp_path: Path,
    size: int,
    strata: int,
    covered: int,
) -> None:
    made = finisher.all()
    selection = SelectionConfig.parse({"method": "dealrec", "strata": strata})
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
    assert cost.startswith("about ") and cost.endswith("trainings")
    asked = {"dataset_id": made.dataset, "budgets": "12", "selector": "dealrec"}
    form = client.get("/console/comparisons/new", params=asked).text
    assert 'name="budgets" value="12"' in form
    assert 'name="selector.dealrec" value="1" checked' in form
    assert 'name="selector.influence_strata" value="1" checked' not in form
