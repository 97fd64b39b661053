"""Adapters over HTTP."""

import hashlib
import io
import zipfile

from fastapi.testclient import TestClient

from tests.app.conftest import Finisher


def test_an_adapter_is_handed_out_whole_and_by_file(client: TestClient, finisher: Finisher) -> None:
    made = finisher.all()
    adapter = client.get(f"/v1/adapters/{made.adapter}").json()
    assert client.get("/v1/adapters").json()["data"] == [adapter]
    answer = client.get(f"/v1/adapters/{made.adapter}/download")
    assert client.get(f"/v1/adapters/{made.adapter}/download").content == answer.content
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.namelist() == ["adapter_config.json", "adapter_model.safetensors"]
    for file in adapter["files"]:
        one = client.get(f"/v1/adapters/{made.adapter}/files/{file['name']}")
        assert one.content == archive.read(file["name"])
        assert hashlib.sha256(one.content).hexdigest() == file["sha256"]
    for name in ("other", "..%2f..%2fdealrec.sqlite3", "%00"):
        assert client.get(f"/v1/adapters/{made.adapter}/files/{name}").status_code == 404
    assert client.delete(f"/v1/adapters/{made.adapter}").status_code == 204
    assert client.get(f"/v1/jobs/{made.finetune}").json()["adapter_id"] is None
