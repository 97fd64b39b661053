"""The console's pages name things, and say what an evaluation asked."""

from fastapi.testclient import TestClient

from dealrec.app.kit.database import Database
from dealrec.app.tables.jobs import JobRow
from tests.app.conftest import Finisher
from tests.app.console.test_pages import token


def test_everything_has_a_good_name_that_its_page_changes(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    body = {"dataset_id": made.dataset, "budget": 0.2}
    job = client.post("/v1/jobs", json=body).json()
    assert job["name"] == "games · 20 % · thinned influence"
    assert client.post("/v1/jobs", json={**body, "name": " mine "}).json()["name"] == "mine"
    csrf = token(client)
    for area, identifier in (
        ("datasets", made.dataset),
        ("jobs", made.job),
        ("coresets", made.coreset),
        ("adapters", made.adapter),
    ):
        place = f"/console/{area}/{identifier}"
        page = client.post(f"{place}/name", data={"csrf": csrf, "name": "Für <Anna>"}).text
        assert "<h1>Für &lt;Anna&gt;</h1>" in page
        assert "Für &lt;Anna&gt;" in client.get(f"/console/{area}").text
        refused = client.post(f"{place}/name", data={"csrf": csrf, "name": "  "})
        assert refused.status_code == 422 and "invalid_name" in refused.text
        assert client.patch(f"/v1/{area}/{identifier}", json={"name": "x"}).json()["name"] == "x"
    assert client.post("/console/keys/key_0/name", data={"csrf": csrf}).status_code == 404


def test_the_same_content_added_twice_is_noticed(client: TestClient, finisher: Finisher) -> None:
    first, second = finisher.dataset().id, finisher.dataset().id
    assert client.get(f"/v1/datasets/{second}").json()["same_content"] == [first]
    page = client.get(f"/console/datasets/{second}").text
    assert (
        "The same content was uploaded before" in page
        and f'href="/console/datasets/{first}"' in page
    )


def test_an_evaluation_says_for_whom_it_ranked_and_folds_figures_that_are_all_zero(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    made = finisher.all()
    zeros = {f"{name}@{places}": 0.0 for name in ("recall", "ndcg") for places in (5, 10, 20)}
    measured = {
        "split": "test",
        "users": 60,
        "ranking_users": 4,
        "protocol": "The whole catalogue is ranked, less what was seen.",
        "metrics": {"nll": 3.0, **zeros},
        "standard_errors": {"nll": 0.1, **zeros},
        "untrained": {"nll": 4.0, **zeros},
    }
    with database.session() as session:
        session.get_one(JobRow, made.finetune).evaluation = measured
    for path in (f"/console/jobs/{made.finetune}", f"/console/adapters/{made.adapter}"):
        page = " ".join(client.get(path).text.split())
        assert "evaluated on 60 users of the test split." in page
        assert "For 4 of these users, the catalogue is ranked" in page
        assert "no user’s item was among the first 20" in page and page.count(">ndcg@5<") == 0
