"""Data sets over HTTP."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from dealrec.app.kit.database import Database
from dealrec.app.settings import Settings
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import StageRow
from dealrec.config import DataOptions
from tests.app.conftest import Finisher, samples_of


def files_left(settings: Settings) -> list[Path]:
    folders = (settings.data_dir / "scratch", settings.data_dir / "storage")
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_an_upload_is_stored_and_its_validation_queued(
    client: TestClient, csv: bytes, database: Database, settings: Settings
) -> None:
    answer = client.post(
        "/v1/datasets",
        files={"interactions": ("../games.csv", csv)},
        data={"columns": '{"user_id": "user"}', "split": "leave_one_out"},
    )
    assert answer.status_code == 201
    body = answer.json()
    assert (body["state"], body["name"], body["split"]) == ("validating", "games", "leave_one_out")
    assert body["counts"] is None
    assert client.get(f"/v1/datasets/{body['id']}").json() == body | {"same_content": []}
    with database.session(write=False) as session:
        row = session.get_one(DatasetRow, body["id"])
        stage = session.scalars(select(StageRow)).one()
    interactions = row.uploads["interactions"]
    assert interactions is not None and interactions["filename"] == "games.csv"
    assert (stage.name, stage.state, stage.dataset_id) == ("ingest", "queued", row.id)
    assert [path.read_bytes() for path in files_left(settings)] == [csv]


def test_samples_may_come_with_interactions_or_alone(
    client: TestClient, csv: bytes, database: Database
) -> None:
    line = b'{"sample_id": "1"}\n'
    both = {"interactions": ("log.csv", csv), "samples": ("texts.jsonl", line)}
    made = [
        client.post("/v1/datasets", files=files).json()
        for files in (both, {"samples": both["samples"]})
    ]
    assert [body["name"] for body in made] == ["log", "texts"]
    again = client.post("/v1/datasets", json={"source_dataset_id": made[1]["id"]})
    assert again.status_code == 201
    with database.session(write=False) as session:
        uploads = [
            session.get_one(DatasetRow, body["id"]).uploads for body in (*made, again.json())
        ]
    assert [{*files} for files in uploads] == [
        {"interactions", "samples"},
        {"samples"},
        {"samples"},
    ]
    for refused in (
        client.post("/v1/datasets", files={"items": ("items.csv", csv)}),
        client.post("/v1/datasets", json={"items_upload_id": "up_1"}),
    ):
        assert refused.status_code == 422


def test_options_are_kept_for_the_validation(
    client: TestClient, csv: bytes, database: Database
) -> None:
    options = {"columns": {"user_id": "who"}, "split": "leave_one_out"}
    made = [
        client.post("/v1/datasets", files={"interactions": ("a.csv", csv)}, data=data).json()
        for data in (
            {"options": json.dumps(options)},
            {"options": '{"split": "leave_one_out"}', "columns": '{"user_id": "who"}'},
        )
    ]
    shown = [DataOptions.model_validate(body["options"]) for body in made]
    assert shown == [DataOptions.model_validate(options)] * 2
    with database.session(write=False) as session:
        rows = session.scalars(select(DatasetRow)).all()
    assert [row.options for row in rows] == [options, options]


def test_the_files_of_a_data_set_are_read_again_with_other_options(
    client: TestClient, csv: bytes, database: Database, settings: Settings
) -> None:
    first = client.post(
        "/v1/datasets",
        files={"interactions": ("a.csv", csv), "items": ("b.csv", b"item_id,title\n")},
        data={"name": "games", "split": "column"},
    ).json()
    again = {"source_dataset_id": first["id"]}
    same = client.post("/v1/datasets", json=again)
    assert same.status_code == 201, same.text
    assert same.json()["name"] == "games"
    assert DataOptions(**same.json()["options"]).asked() == {"split": "column"}
    other = {**again, "options": {"columns": {"user_id": "who"}}, "name": "other"}
    changed = client.post("/v1/datasets", json=other).json()
    assert changed["name"] == "other"
    assert changed["options"]["columns"] == {"user_id": "who"}
    assert changed["split"] is None
    assert [path.read_bytes() for path in files_left(settings)].count(csv) == 3
    mended = client.post(
        "/v1/datasets", files={"items": ("c.csv", b"item_id,title\n1,x\n")}, data=again
    ).json()
    assert mended["files"] == {"interactions": ["a.csv"], "items": ["c.csv"]}
    assert (mended["name"], mended["split"]) == ("games", "column")
    with database.session() as session:
        row = session.get_one(DatasetRow, first["id"])
        row.state, row.prefix = "rejected", None
    both = {"interactions": ("d.csv", csv), "items": ("e.csv", csv)}
    assert client.post("/v1/datasets", files=both, data=again).status_code == 201
    gone = client.post("/v1/datasets", json=again)
    assert (gone.status_code, gone.json()["code"]) == (409, "files_gone")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"items_upload_id": "up_1"},
        {"interactions_upload_id": "up_1", "interactions_upload_ids": ["up_1"]},
    ],
    ids=str,
)
def test_files_have_one_source(client: TestClient, body) -> None:
    answer = client.post("/v1/datasets", json=body)
    assert answer.status_code == 422
    assert "source_dataset_id" in answer.text


BAD_FORMS = {
    "no file": ({}, {"name": "x"}, "missing_field"),
    "empty file": ({"interactions": ("a.csv", b"")}, {}, "empty_file"),
    "unknown field": ({"interactions": ("a.csv", b"x")}, {"colour": "red"}, "unknown_field"),
    "field for file": ({}, {"interactions": "user_id"}, "invalid_form"),
    "columns not JSON": ({"interactions": ("a.csv", b"x")}, {"columns": "{"}, "invalid_json"),
    "columns not ours": (
        {"interactions": ("a.csv", b"x")},
        {"columns": '{"colour": "x"}'},
        "invalid_columns",
    ),
    "no such option": (
        {"interactions": ("a.csv", b"x")},
        {"options": '{"colour": "x"}'},
        "invalid_config",
    ),
    "option twice": (
        {"interactions": ("a.csv", b"x")},
        {"options": '{"split": "column"}', "split": "column"},
        "invalid_config",
    ),
    "no such split": ({"interactions": ("a.csv", b"x")}, {"split": "odd"}, "invalid_split"),
    "NUL in name": ({"interactions": ("a.csv", b"x")}, {"name": "a\0b"}, "invalid_text"),
}


@pytest.mark.parametrize(("files", "data", "code"), BAD_FORMS.values(), ids=BAD_FORMS)
def test_a_bad_form_leaves_nothing_behind(
    client: TestClient, database: Database, settings: Settings, files, data, code
) -> None:
    if not files:
        files = {name: (None, value) for name, value in data.items()}
        data = {}
    answer = client.post("/v1/datasets", files=files, data=data)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["errors"]
    with database.session(write=False) as session:
        assert session.scalar(select(func.count()).select_from(DatasetRow)) == 0
    assert files_left(settings) == []


def test_a_body_that_is_cut_short_is_refused(client: TestClient, settings: Settings) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="interactions"; filename="a"\r\n\r\nabc'
    answer = client.post(
        "/v1/datasets", content=body, headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_form")
    assert files_left(settings) == []


def test_a_body_above_the_limit_is_413_with_the_limit(
    client: TestClient, settings: Settings
) -> None:
    settings.max_upload_bytes = 1000
    declared = client.post("/v1/datasets", files={"interactions": ("a.csv", b"x" * 2000)})

    def chunks():
        yield b'--x\r\nContent-Disposition: form-data; name="interactions"; filename="a"\r\n\r\n'
        for _ in range(20):
            yield b"y" * 100

    headers = {"content-type": "multipart/form-data; boundary=x"}
    streamed = client.post("/v1/datasets", content=chunks(), headers=headers)
    for answer in (declared, streamed):
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["limit"] == 1000
    assert files_left(settings) == []


def test_lists_page_newest_first(client: TestClient, csv: bytes) -> None:
    made = [
        client.post("/v1/datasets", files={"interactions": ("a.csv", csv)}).json()["id"]
        for _ in range(3)
    ]
    first = client.get("/v1/datasets?limit=2").json()
    second = client.get(f"/v1/datasets?limit=2&after={first['next']}").json()
    assert first["has_more"]
    assert not second["has_more"]
    assert second["next"] is None
    listed = [entry["id"] for entry in first["data"] + second["data"]]
    assert sorted(listed) == sorted(made)
    assert listed == sorted(made, reverse=True)
    assert client.get("/v1/datasets?after=%00").json()["code"] == "invalid_cursor"
    assert client.get("/v1/datasets?limit=201").status_code == 422


def test_samples_are_shown_as_the_model_reads_them(client: TestClient, finisher: Finisher) -> None:
    dataset = finisher.dataset()
    page = client.get(f"/v1/datasets/{dataset.id}/samples?limit=40").json()
    rest = client.get(f"/v1/datasets/{dataset.id}/samples?limit=40&after={page['next']}").json()
    samples = page["data"] + rest["data"]
    assert len(samples) == samples_of(dataset)
    assert len({sample["sample_key"] for sample in samples}) == len(samples)
    assert all(sample["target"] in sample["output"] for sample in samples)
    one = client.get(f"/v1/datasets/{dataset.id}/samples?sampling=per_interaction&limit=1").json()
    assert ":" in one["data"][0]["sample_key"]


def test_a_data_set_with_jobs_is_in_use_until_cascade(
    client: TestClient, finisher: Finisher, settings: Settings, database: Database
) -> None:
    made = finisher.all()
    refused = client.delete(f"/v1/datasets/{made.dataset}")
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    assert {entry["id"] for entry in refused.json()["dependents"]} == {made.job, made.finetune}
    assert client.delete(f"/v1/datasets/{made.dataset}?cascade=true").status_code == 204
    for path in ("datasets", "jobs", "coresets", "adapters"):
        assert client.get(f"/v1/{path}").json()["data"] == []
    assert files_left(settings) == []
    with database.session(write=False) as session:
        assert session.scalar(select(func.count()).select_from(StageRow)) == 0
