"""Data sets of several files, and of files and folders at addresses that the operator allows."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from dealrec.app.settings import Settings
from dealrec.config import DataOptions
from dealrec.data.ingest import ingest

COLUMNS = {"columns": {"timestamp": "day"}, "split": "leave_one_out"}
Run = Callable[[], None]


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "allowed").mkdir()
    settings.allowed_addresses = (f"file://{tmp_path}/allowed", "s3://logs/team")
    return settings


@pytest.fixture
def events(tmp_path: Path, settings: Settings) -> Path:
    """A folder of partitions, as Spark writes it, below the allowed one."""
    for day in ("2020-01-04", "2020-01-03", "2020-01-02", "2020-01-01"):
        folder = tmp_path / "allowed" / "events" / f"day={day}"
        folder.mkdir(parents=True)
        table = pa.table({"user_id": ["u", "v"], "item_id": [day[-1], day]})
        pq.write_table(table, folder / "part-0.parquet")
    (tmp_path / "allowed" / "events" / "_SUCCESS").touch()
    return tmp_path / "allowed" / "events"


@pytest.fixture
def expected(events: Path, tmp_path: Path) -> str:
    options = DataOptions.parse(COLUMNS)
    return ingest(events, options=options, out=tmp_path / "library").dataset.sha256


@pytest.fixture
def bucket(events: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An S3 server with the folder in it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT", f"http://{host}:{port}")
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket="logs")
    for path in events.rglob("*.parquet"):
        client.upload_file(str(path), "logs", f"team/events/{path.relative_to(events)}")
    yield
    server.stop()


def made(client: TestClient, run_all: Run, body: Mapping[str, object]) -> dict:
    answer = client.post("/v1/datasets", json={"options": COLUMNS, **body})
    assert answer.status_code == 201, answer.text
    run_all()
    return client.get(answer.headers["location"]).json()


def test_a_folder_of_partitions_is_read_where_it_is(client, run_all, events, expected):
    body = {"interactions_addresses": [f"file://{events}"]}
    dataset = made(client, run_all, body)
    assert (dataset["name"], dataset["sha256"]) == ("events", expected)
    files = [f"file://{path}" for path in sorted(events.rglob("*.parquet"))]
    assert made(client, run_all, {"interactions_addresses": files})["sha256"] == expected
    again = made(client, run_all, {"source_dataset_id": dataset["id"]})
    assert again["sha256"] == expected


def test_a_folder_in_s3_is_read(client, run_all, bucket, expected):
    dataset = made(client, run_all, {"interactions_addresses": ["s3://logs/team/events"]})
    assert dataset["sha256"] == expected
    nothing = made(client, run_all, {"interactions_addresses": ["s3://logs/team/nothing"]})
    assert (nothing["state"], nothing["error"]["code"]) == ("rejected", "no_such_file")


def test_what_is_too_large_is_not_copied(client, run_all, bucket, settings):
    settings.max_upload_bytes = 1000
    found = made(client, run_all, {"interactions_addresses": ["s3://logs/team/events"]})
    assert (found["state"], found["error"]["code"]) == ("rejected", "file_too_large")


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "file://{allowed}-not/a.csv",
        "file://{allowed}/../a.csv",
        "file://{allowed}/%2e%2e/a.csv",
        "{allowed}/a.csv",
        "s3://logs/teams",
        "s3://logs",
        "s3://other/team/a.csv",
        "s3://logs/team/a.csv?endpoint_override=127.0.0.1:1",
        "s3://key:secret@logs/team/a.csv",
        "S3://logs/team/a.csv\n",
        "http://127.0.0.1/a.csv",
        "gs://logs/team/a.csv",
    ],
)
def test_no_other_address_is_read(client, tmp_path, settings, address):
    given = address.format(allowed=tmp_path / "allowed")
    answer = client.post("/v1/datasets", json={"interactions_addresses": [given]})
    assert (answer.status_code, answer.json()["code"]) == (422, "address_not_allowed")
    assert "DEALREC_ALLOWED_ADDRESSES" in answer.json()["detail"]


def test_a_link_does_not_lead_out_of_what_is_allowed(client, run_all, tmp_path, events):
    (tmp_path / "secret.csv").write_text("user_id,item_id,day\nu,a,1\nu,b,2\nu,c,3\n")
    (events.parent / "link.csv").symlink_to(tmp_path / "secret.csv")
    found = made(client, run_all, {"interactions_addresses": [f"file://{events.parent}/link.csv"]})
    assert (found["state"], found["error"]["code"]) == ("rejected", "address_not_allowed")
    assert "secret" not in str(found["error"])
    (events / "link.parquet").symlink_to(tmp_path / "secret.csv")
    found = made(client, run_all, {"interactions_addresses": [f"file://{events}"]})
    assert (found["state"], found["error"]["code"]) == ("rejected", "address_not_allowed")


def test_nothing_is_read_from_addresses_unless_that_is_set(client, settings, events):
    settings.allowed_addresses = ()
    answer = client.post("/v1/datasets", json={"interactions_addresses": [f"file://{events}"]})
    assert answer.json()["code"] == "address_not_allowed"


def test_several_files_of_a_form_are_one_table(client, run_all, events, expected):
    files = [
        ("interactions", (str(path.relative_to(events)), path.read_bytes()))
        for path in sorted(events.rglob("*.parquet"))
    ]
    data = {"columns": '{"timestamp": "day"}', "split": "leave_one_out"}
    answer = client.post("/v1/datasets", files=files, data=data)
    run_all()
    found = client.get(answer.headers["location"]).json()
    assert (found["sha256"], found["name"]) == (expected, "part-0")
    assert found["report"]["read"][0]["said"][-1] == "4 files were read as one table"


def test_several_uploads_are_one_table(client, run_all, events, expected):
    ids = []
    for path in sorted(events.rglob("*.parquet")):
        content = path.read_bytes()
        name = str(path.relative_to(events))
        upload = client.post("/v1/uploads", json={"filename": name, "bytes": len(content)}).json()
        client.put(f"/v1/uploads/{upload['id']}/parts/1", content=content).raise_for_status()
        client.post(f"/v1/uploads/{upload['id']}/complete").raise_for_status()
        ids.append(upload["id"])
    assert made(client, run_all, {"interactions_upload_ids": ids})["sha256"] == expected
