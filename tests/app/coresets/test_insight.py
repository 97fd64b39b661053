"""Reasons, differences and budgets of coresets over HTTP."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.tables.jobs import ArtifactRow
from tests.app.conftest import Finished, Finisher


def scores_of(client: TestClient, made: Finished) -> list[dict]:
    content = client.get(f"/v1/jobs/{made.job}/scores/download").content
    return pq.read_table(io.BytesIO(content)).to_pylist()


def members_of(client: TestClient, coreset: str) -> set[str]:
    page = client.get(f"/v1/coresets/{coreset}/samples?limit=200").json()
    return {sample["sample_key"] for sample in page["data"]}


def test_every_sample_is_explained_by_its_stratum_and_quota(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    rows = scores_of(client, made)
    members = members_of(client, made.coreset)
    reasons = set()
    for row in rows:
        answer = client.get(
            f"/v1/coresets/{made.coreset}/explanation", params={"sample_key": row["sample_key"]}
        )
        told = answer.json()
        assert told["selected"] == (row["sample_key"] in members)
        assert told["scores"]["overall"] == row["overall"]
        below = sum(other["influence"] < row["influence"] for other in rows)
        assert told["percentiles"]["influence"] == pytest.approx(100 * (below + 0.5) / len(rows))
        assert told["percentiles"]["effort"] is None
        assert " The method `dealrec` draws at random from strata of influence" in told["detail"]
        reasons.add(told["reason"])
        if told["reason"] == "hard_pruned":
            assert (told["stratum"], told["quota"], row["stratum"]) == (None, None, None)
            assert told["percentiles"]["overall"] > 90
        else:
            assert told["stratum"]["index"] == row["stratum"]
            assert told["stratum"]["low"] <= row["overall"] <= told["stratum"]["high"]
            assert told["quota"] == told["stratum"]["selected"]
    assert {"hard_pruned", "within_quota", "outside_quota"} <= reasons


def test_a_later_coreset_is_explained_by_its_own_selection(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    body = {"budget": 30, "selection": {"strata": 1, "hard_prune": 0}}
    coreset = client.post(f"/v1/jobs/{made.job}/coresets", json=body).json()["id"]
    members = members_of(client, coreset)
    for row in scores_of(client, made):
        told = client.get(
            f"/v1/coresets/{coreset}/explanation", params={"sample_key": row["sample_key"]}
        ).json()
        assert told["selected"] == (row["sample_key"] in members)
        assert (told["quota"], told["stratum"]["available"]) == (30, 60)


def test_a_key_that_is_no_sample_is_not_found(client: TestClient, finisher: Finisher) -> None:
    made = finisher.all()
    answer = client.get(f"/v1/coresets/{made.coreset}/explanation?sample_key=nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert client.get(f"/v1/coresets/{made.coreset}/explanation").status_code == 422


def test_a_diff_counts_what_is_kept_gained_and_lost(client: TestClient, finisher: Finisher) -> None:
    made = finisher.all()
    body = {"budget": 20, "selection": {"seed": 5, "hard_prune": 0}}
    other = client.post(f"/v1/jobs/{made.job}/coresets", json=body).json()["id"]
    for one, two in ((made.coreset, other), (other, made.coreset)):
        mine, theirs = members_of(client, one), members_of(client, two)
        diff = client.get(f"/v1/coresets/{one}/diff?against={two}").json()
        counts = (diff["kept"], diff["gained"], diff["lost"])
        assert counts == (len(mine & theirs), len(mine - theirs), len(theirs - mine))
        assert diff["jaccard"] == pytest.approx(len(mine & theirs) / len(mine | theirs))
        assert set(diff["gained_keys"]) == mine - theirs
        assert set(diff["lost_keys"]) == theirs - mine
        for name, count in zip(("kept", "gained", "lost"), counts, strict=True):
            assert sum(stratum[name] for stratum in diff["strata"]) == count
    same = client.get(f"/v1/coresets/{one}/diff?against={one}").json()
    assert (same["jaccard"], same["gained"], same["lost"]) == (1, 0, 0)


def test_coresets_of_other_data_sets_are_not_compared(
    client: TestClient, finisher: Finisher
) -> None:
    first, second = finisher.all(), finisher.all()
    answer = client.get(f"/v1/coresets/{first.coreset}/diff?against={second.coreset}")
    assert (answer.status_code, answer.json()["code"]) == (422, "not_comparable")
    assert client.get(f"/v1/coresets/{first.coreset}/diff?against=cs_x").status_code == 404


def test_a_sweep_says_what_each_budget_would_hold_and_stores_nothing(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    before = client.get("/v1/coresets").json()
    sweep = client.get(f"/v1/jobs/{made.job}/budget-sweep?budgets=6,0.2,60").json()["data"]
    assert [(point["budget"], point["samples"]) for point in sweep] == [
        (6, 6),
        (0.2, 12),
        (60, 60),
    ]
    coreset = client.get(f"/v1/coresets/{made.coreset}").json()
    assert sweep[1]["coverage"]["users"] == coreset["coverage"]["users"]
    assert sweep[1]["coverage"]["items"] == coreset["coverage"]["items"]
    chosen = [row for row in scores_of(client, made) if row["selected"]]
    mean = sum(row["influence"] for row in chosen) / 12
    assert sweep[1]["influence"]["mean"] == pytest.approx(mean)
    shares = [point["overall"]["share"] for point in sweep]
    assert 0 < shares[0] < shares[1] < shares[2] == pytest.approx(1)
    assert sweep[2]["random"]["overall"] == sweep[2]["overall"]
    assert all(point["effort"] is None for point in sweep)
    assert client.get("/v1/coresets").json() == before


@pytest.mark.parametrize(
    ("budgets", "code"),
    [
        ("0", "invalid_budget"),
        ("5,x", "invalid_budget"),
        ("61", "budget_too_large"),
        (",".join(["5"] * 21), "invalid_budget"),
    ],
)
def test_budgets_that_cannot_be_swept_get_their_code(
    client: TestClient, finisher: Finisher, budgets, code
) -> None:
    made = finisher.all()
    answer = client.get(f"/v1/jobs/{made.job}/budget-sweep", params={"budgets": budgets})
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_where_only_candidates_have_effort_the_others_are_told_apart(
    client: TestClient, finisher: Finisher, database: Database, storage: Storage, tmp_path: Path
) -> None:
    made = finisher.all()
    table = pq.read_table(
        io.BytesIO(client.get(f"/v1/jobs/{made.job}/scores/download").content)
    ).drop_columns("effort")
    effort = pa.array([index * 1.0 if index % 3 == 0 else None for index in range(60)])
    with database.session(write=False) as session:
        prefix = session.scalars(select(ArtifactRow.prefix)).one()
    pq.write_table(table.append_column("effort", effort), tmp_path / "scores.parquet")
    storage.put_file(f"{prefix}/scores.parquet", tmp_path / "scores.parquet")

    answer = client.post(f"/v1/jobs/{made.job}/coresets", json={"budget": 21})
    assert (answer.status_code, answer.json()["code"]) == (422, "budget_above_candidates")
    assert "only for 20 candidates" in answer.json()["detail"]
    coreset = client.post(f"/v1/jobs/{made.job}/coresets", json={"budget": 15}).json()
    candidates = set(table["sample_key"].filter(effort.is_valid()).to_pylist())
    assert members_of(client, coreset["id"]) <= candidates
    manifest = client.get(f"/v1/coresets/{coreset['id']}/manifest").json()
    assert manifest["control"]["mean_effort"] is None
    outside = (set(table["sample_key"].to_pylist()) - candidates).pop()
    told = client.get(
        f"/v1/coresets/{coreset['id']}/explanation", params={"sample_key": outside}
    ).json()
    assert (told["reason"], told["stratum"], told["selected"]) == ("not_candidate", None, False)
    counts = client.get(
        f"/v1/jobs/{made.job}/scores/histogram", params={"score": "effort", "bins": 5}
    ).json()
    assert sum(counts["all"]) == 20
