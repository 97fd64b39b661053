"""Uploads in parts over HTTP."""

import hashlib
import os
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.uploads import UploadRow
from dealrec.app.uploads.service import expire_uploads
from tests.app.datasets.test_endpoints import files_left


@pytest.fixture
def settings(settings: Settings) -> Settings:
    settings.upload_part_bytes = 1000
    return settings


def announced(client: TestClient, content: bytes, **fields: object) -> dict:
    body = {"filename": "games.csv", "bytes": len(content), **fields}
    answer = client.post("/v1/uploads", json=body)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/uploads/{answer.json()['id']}"
    return answer.json()


def put(client: TestClient, upload: dict, number: int, content: bytes):
    return client.put(f"/v1/uploads/{upload['id']}/parts/{number}", content=content)


def send(client: TestClient, upload: dict, content: bytes, *, order: int = 1) -> None:
    size = upload["part_bytes"]
    parts = list(enumerate(range(0, len(content), size), start=1))
    for number, start in parts[::order]:
        assert put(client, upload, number, content[start : start + size]).status_code == 200


def complete(client: TestClient, upload: dict):
    return client.post(f"/v1/uploads/{upload['id']}/complete")


def test_parts_in_any_order_make_the_file_and_a_data_set_is_made_of_it(
    client: TestClient, csv: bytes, settings: Settings
) -> None:
    digest = hashlib.sha256(csv).hexdigest()
    upload = announced(client, csv, sha256=digest, filename="../games.csv")
    assert (upload["state"], upload["filename"]) == ("open", "games.csv")
    send(client, upload, csv, order=-1)
    seen = client.get(f"/v1/uploads/{upload['id']}").json()
    assert seen["received_bytes"] == len(csv)
    assert [part["number"] for part in seen["parts"]] == list(range(1, len(seen["parts"]) + 1))
    assert seen["parts"][0]["sha256"] == hashlib.sha256(csv[:1000]).hexdigest()
    done = complete(client, upload)
    assert done.status_code == 200
    assert (done.json()["state"], done.json()["sha256"]) == ("complete", digest)
    assert complete(client, upload).json() == done.json()
    assert [path.read_bytes() for path in files_left(settings)] == [csv]
    body = {"interactions_upload_id": upload["id"], "columns": {"user_id": "u"}}
    made = client.post("/v1/datasets", json=body)
    assert made.status_code == 201
    assert (made.json()["state"], made.json()["name"]) == ("validating", "games")
    assert client.delete(f"/v1/uploads/{upload['id']}").status_code == 204
    assert client.get(f"/v1/uploads/{upload['id']}").status_code == 404
    assert [path.read_bytes() for path in files_left(settings)] == [csv]


def test_an_interrupted_upload_goes_on_where_it_stopped(
    client: TestClient, settings: Settings
) -> None:
    content = os.urandom(2500)
    upload = announced(client, content)
    assert put(client, upload, 2, content[1000:2000]).status_code == 200
    early = complete(client, upload)
    assert (early.status_code, early.json()["code"]) == (409, "upload_incomplete")
    assert early.json()["missing"] == [1, 3]
    assert put(client, upload, 2, b"x" * 1000).status_code == 200
    assert put(client, upload, 2, content[1000:2000]).status_code == 200
    assert len(files_left(settings)) == 1
    put(client, upload, 1, content[:1000])
    put(client, upload, 3, content[2000:])
    assert complete(client, upload).json()["sha256"] == hashlib.sha256(content).hexdigest()
    assert [path.read_bytes() for path in files_left(settings)] == [content]
    late = put(client, upload, 1, content[:1000])
    assert (late.status_code, late.json()["code"]) == (409, "upload_complete")


def test_a_file_that_is_not_what_was_declared_is_refused_and_can_be_sent_again(
    client: TestClient, settings: Settings
) -> None:
    content = os.urandom(1500)
    upload = announced(client, content, sha256=hashlib.sha256(content).hexdigest())
    send(client, upload, b"y" * 1500)
    refused = complete(client, upload)
    assert (refused.status_code, refused.json()["code"]) == (422, "upload_damaged")
    assert len(files_left(settings)) == 2
    send(client, upload, content)
    assert complete(client, upload).status_code == 200


def test_parts_that_do_not_fit_are_refused_and_leave_nothing(
    client: TestClient, settings: Settings
) -> None:
    upload = announced(client, b"z" * 1500)
    answers = {
        "invalid_part": [
            put(client, upload, 1, b"z" * 999),
            put(client, upload, 3, b"z"),
            put(client, upload, 1, b""),
        ],
        "payload_too_large": [
            put(client, upload, 1, b"z" * 1001),
            put(client, upload, 2, b"z" * 501),
        ],
        "invalid_request": [put(client, upload, 0, b"z")],
    }
    for code, given in answers.items():
        assert {answer.json()["code"] for answer in given} == {code}
    assert files_left(settings) == []


def test_a_file_above_the_limit_is_refused_before_it_is_sent(
    client: TestClient, settings: Settings
) -> None:
    settings.max_upload_bytes = 5000
    answer = client.post("/v1/uploads", json={"filename": "a", "bytes": 5001})
    assert (answer.status_code, answer.json()["limit"]) == (413, 5000)


BAD = {
    "no such upload": ({"interactions_upload_id": "up_x"}, 404, "not_found"),
    "no upload": ({}, 422, "invalid_request"),
    "unknown field": ({"interactions_upload_id": "up_x", "colour": 1}, 422, "invalid_request"),
    "NUL": ({"interactions_upload_id": "up_x", "name": "a\0"}, 422, "invalid_text"),
}


@pytest.mark.parametrize(("body", "status", "code"), BAD.values(), ids=BAD)
def test_a_data_set_of_uploads_that_are_not_there_is_refused(
    client: TestClient, body, status, code
) -> None:
    answer = client.post("/v1/datasets", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_data_set_of_an_unfinished_upload_is_refused(client: TestClient) -> None:
    upload = announced(client, b"q" * 10)
    body = {"interactions_upload_id": upload["id"]}
    answer = client.post("/v1/datasets", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_incomplete")
    text = client.post(
        "/v1/datasets", content=b"{", headers={"content-type": "application/json; charset=utf-8"}
    )
    assert (text.status_code, text.json()["code"]) == (422, "invalid_json")


def test_expired_uploads_are_forgotten_with_their_files(
    client: TestClient, database: Database, storage: Storage, settings: Settings
) -> None:
    uploads = [announced(client, b"q" * 1500) for _ in range(3)]
    for upload in uploads:
        send(client, upload, b"q" * 1500)
    assert complete(client, uploads[1]).status_code == 200
    assert expire_uploads(database, storage) == 0
    with database.session() as session:
        past = database_now(session) - timedelta(seconds=1)
        expired = UploadRow.id.in_([uploads[0]["id"], uploads[1]["id"]])
        session.execute(update(UploadRow).where(expired).values(expires_at=past))
    assert client.get(f"/v1/uploads/{uploads[1]['id']}").status_code == 404
    assert put(client, uploads[0], 1, b"q" * 1000).status_code == 404
    assert expire_uploads(database, storage) == 2
    assert client.get(f"/v1/uploads/{uploads[2]['id']}").json()["received_bytes"] == 1500
    assert len(files_left(settings)) == 2
