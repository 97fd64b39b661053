"""The form for a comparison."""

import re

import pytest
from fastapi.testclient import TestClient

from dealrec.config.comparison import CONTROLS
from tests.app.conftest import Finisher
from tests.app.console.test_pages import token


@pytest.fixture
def form(client: TestClient, finisher: Finisher) -> dict[str, str]:
    return {
        "csrf": token(client),
        "dataset_id": finisher.dataset().id,
        "budgets": "10, 20%",
        "seeds": "2",
        "scale": "cpu",
        "selector.influence": "1",
        "surrogate.epochs": "3",
    }


def test_a_comparison_is_asked_for_as_over_the_api(
    client: TestClient, form: dict[str, str]
) -> None:
    made = client.post("/console/comparisons", data=form, follow_redirects=False)
    config = client.get(f"/v1/jobs/{made.headers['location'].rsplit('/', 1)[-1]}").json()["config"]
    assert config["budgets"] == [10, 0.2] and config["seeds"] == 2
    assert [selector["method"] for selector in config["selectors"]] == [
        *CONTROLS,
        "influence",
    ]
    assert config["config"]["surrogate"]["epochs"] == 3
    wrong = client.post("/console/comparisons", data={**form, "budgets": "10, many"})
    assert (
        wrong.status_code == 422 and "budgets.1" in wrong.text and 'value="10, many"' in wrong.text
    )


def test_what_it_will_take_is_said_before_it_is_started(
    client: TestClient, form: dict[str, str]
) -> None:
    part = client.post("/console/comparisons/estimate", data=form)
    assert part.status_code == 200
    assert re.search(rf"<dt>Trainings</dt><dd>{4 * (len(CONTROLS) + 1) + 3}</dd>", part.text)
    assert "<dt>Comparison</dt>" in part.text and "two cores and no GPU" in part.text
    wrong = client.post("/console/comparisons/estimate", data={**form, "budgets": "10, many"})
    assert "No estimate" in wrong.text and "budgets.1" in wrong.text
    assert client.get("/v1/jobs").json()["data"] == []
