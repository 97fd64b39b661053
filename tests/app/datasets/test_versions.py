"""Requests to append to a data set."""

from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient

from dealrec.app.kit.database import Database
from dealrec.app.tables.datasets import DatasetRow
from tests.app.conftest import Finisher


def test_what_an_append_stores_names_the_version_before(
    client: TestClient, csv: bytes, finisher: Finisher, database: Database
) -> None:
    parent = finisher.dataset()
    path = f"/v1/datasets/{parent.id}/append"
    columns = {"columns": '{"user_id": "who"}', "name": "games in June"}
    one = client.post(path, files={"interactions": ("b.csv", csv)}, data=columns).json()
    two = client.post(path, files={"items": ("items.csv", csv)}).json()
    for made in (one, two):
        assert (made["version"], made["parent_id"]) == (2, parent.id)
        assert (made["parent_sha256"], made["split"]) == (parent.sha256, parent.split)
        assert made["state"] == "validating"
    assert (one["name"], two["name"]) == ("games in June", "games")
    with database.session(write=False) as session:
        rows = [session.get_one(DatasetRow, made["id"]) for made in (one, two)]
    assert [{*row.uploads} for row in rows] == [{"interactions"}, {"items"}]
    assert [row.options for row in rows] == [{"columns": {"user_id": "who"}}, {}]
    for identifier in (parent.id, one["id"]):
        listed = client.get(f"/v1/datasets/{identifier}/versions").json()["data"]
        assert [version["id"] for version in listed] == [two["id"], one["id"], parent.id]
    assert client.post("/v1/datasets", json={"source_dataset_id": one["id"]}).status_code == 201
    page = client.get(f"/console/datasets/{parent.id}").text
    assert f"/console/datasets/{one['id']}" in page
    assert f'action="{path}"' in page


def test_an_append_goes_back_to_a_default_way_of_reading(
    client: TestClient, csv: bytes, finisher: Finisher, database: Database
) -> None:
    parent = finisher.dataset()
    with database.session() as session:
        session.get_one(DatasetRow, parent.id).options = {"columns": {"user_id": "who"}}
    answer = client.post(
        f"/v1/datasets/{parent.id}/append",
        files={"interactions": ("b.csv", csv)},
        data={"columns": "{}"},
    )
    with database.session(write=False) as session:
        assert session.get_one(DatasetRow, answer.json()["id"]).options["columns"] == {}


ITEMS = {"items": ("items.csv", b"x")}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"files": {"name": (None, "x")}}, "missing_field"),
    ({"files": {"samples": ("a.jsonl", b"{}")}}, "unknown_field"),
    ({"data": {"options": '{"user_core": 3}'}, "files": ITEMS}, "invalid_config"),
    ({"data": {"options": '{"split": "column"}'}, "files": ITEMS}, "invalid_config"),
    ({"json": {}}, "invalid_request"),
    ({"json": {"items_upload_id": "up_1", "items_addresses": ["s3://a/b"]}}, "invalid_request"),
    ({"json": {"items_addresses": ["s3://a/b"]}}, "address_not_allowed"),
]


def test_an_append_that_cannot_be_is_refused(client: TestClient, finisher: Finisher) -> None:
    parent = finisher.dataset()
    for form, code in REFUSED:
        answer = client.post(f"/v1/datasets/{parent.id}/append", **form)
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert len(client.get("/v1/datasets").json()["data"]) == 1


def test_nothing_is_appended_to_samples_and_no_file_is_read_for_it(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    parent = finisher.dataset()
    with database.session() as session:
        row = session.get_one(DatasetRow, parent.id)
        row.counts = {**(row.counts or {}), "samples_given": 5}
    unread = {"nonsense": ("a.csv", b"x")}  # a form that is read is refused for its field
    answer = client.post(f"/v1/datasets/{parent.id}/append", files=unread)
    assert (answer.status_code, answer.json()["code"]) == (422, "append_not_possible")
    assert "`samples` takes several" in answer.json()["detail"]


def test_versions_belong_to_their_tenant(
    make_client: Callable[..., TestClient], make_key, csv: bytes, finisher: Finisher
) -> None:
    parent = finisher.dataset()
    with make_client() as client:
        client.headers.update(make_key("other"))
        files = {"interactions": ("b.csv", csv)}
        assert client.post(f"/v1/datasets/{parent.id}/append", files=files).status_code == 404
        assert client.get(f"/v1/datasets/{parent.id}/versions").status_code == 404
