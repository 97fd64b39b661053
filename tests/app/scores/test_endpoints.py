"""Scores over HTTP."""

import io

import numpy as np
import pyarrow.parquet as pq
from fastapi.testclient import TestClient

from tests.app.conftest import Finisher


def test_scores_are_listed_and_handed_out(client: TestClient, finisher: Finisher) -> None:
    made = finisher.all()
    first = client.get(f"/v1/jobs/{made.job}/scores?limit=50").json()
    rest = client.get(f"/v1/jobs/{made.job}/scores?limit=50&after={first['next']}").json()
    scores = first["data"] + rest["data"]
    assert len(scores) == 60
    assert sum(score["selected"] for score in scores) == 12
    text = client.get(f"/v1/jobs/{made.job}/scores/download?format=csv")
    assert len(text.text.splitlines()) == 61
    assert text.headers["content-disposition"].endswith('-scores.csv"')
    tag = {"if-none-match": text.headers["etag"]}
    same = client.get(f"/v1/jobs/{made.job}/scores/download?format=csv", headers=tag)
    assert same.status_code == 304
    parquet = client.get(f"/v1/jobs/{made.job}/scores/download")
    assert parquet.content[:4] == b"PAR1"
    assert client.get(f"/v1/jobs/{made.finetune}/scores/download").json()["code"] == "no_scores"


def test_histograms_count_all_samples_and_the_selected_ones(
    client: TestClient, finisher: Finisher
) -> None:
    base = f"/v1/jobs/{finisher.all().job}/scores"
    table = pq.read_table(io.BytesIO(client.get(f"{base}/download").content))
    for score in ("influence", "overall"):
        drawn = client.get(f"{base}/histogram?score={score}&bins=7").json()
        values = table[score].to_numpy()
        edges = drawn["edges"]
        assert (edges[0], edges[-1]) == (values.min(), values.max())
        assert drawn["all"] == np.histogram(values, edges)[0].tolist()
        assert (sum(drawn["all"]), sum(drawn["selected"])) == (60, 12)
        assert all(few <= many for few, many in zip(drawn["selected"], drawn["all"], strict=True))


def test_a_histogram_that_cannot_be_drawn_says_why(client: TestClient, finisher: Finisher) -> None:
    made = finisher.all()
    answers = {
        "no_effort_scores": client.get(f"/v1/jobs/{made.job}/scores/histogram?score=effort"),
        "invalid_request": client.get(f"/v1/jobs/{made.job}/scores/histogram?bins=0"),
        "no_scores": client.get(f"/v1/jobs/{made.finetune}/scores/histogram"),
    }
    for code, answer in answers.items():
        assert answer.json()["code"] == code
