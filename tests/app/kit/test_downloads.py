"""Files handed out: content tags and ranges."""

import hashlib

import pytest
from fastapi.testclient import TestClient

from dealrec.app.settings import Settings
from tests.app.conftest import Finisher


@pytest.fixture(params=["manifest", "download", "scores", "adapter", "adapter file"])
def address(request: pytest.FixtureRequest, finisher: Finisher) -> str:
    made = finisher.all()
    return {
        "manifest": f"/v1/coresets/{made.coreset}/manifest",
        "download": f"/v1/coresets/{made.coreset}/download?format=csv",
        "scores": f"/v1/jobs/{made.job}/scores/download",
        "adapter": f"/v1/adapters/{made.adapter}/download",
        "adapter file": f"/v1/adapters/{made.adapter}/files/adapter_model.safetensors",
    }[request.param]


def test_every_download_is_tagged_by_content_and_can_be_resumed(
    client: TestClient, address: str
) -> None:
    whole = client.get(address)
    tag = whole.headers["etag"]
    assert tag == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    rest = client.get(address, headers={"range": "bytes=7-", "if-range": tag})
    assert (rest.status_code, rest.content) == (206, whole.content[7:])
    size = len(whole.content)
    assert rest.headers["content-range"] == f"bytes 7-{size - 1}/{size}"
    other = client.get(address, headers={"range": "bytes=7-", "if-range": '"other"'})
    assert (other.status_code, other.content) == (200, whole.content)
    assert client.get(address, headers={"if-none-match": tag}).status_code == 304


def test_ranges_that_cannot_be_given_are_problems_and_leave_no_files(
    client: TestClient, finisher: Finisher, settings: Settings
) -> None:
    address = f"/v1/coresets/{finisher.all().coreset}/download"
    beyond = client.get(address, headers={"range": "bytes=99999999-"})
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{len(client.get(address).content)}"
    malformed = client.get(address, headers={"range": "lines=1-2"})
    assert (malformed.status_code, malformed.json()["code"]) == (400, "invalid_range")
    for answer in (beyond, malformed):
        assert answer.headers["content-type"] == "application/problem+json"
    assert list((settings.data_dir / "scratch").iterdir()) == []
