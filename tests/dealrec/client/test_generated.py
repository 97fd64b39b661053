"""A client that a generator makes of the OpenAPI document, for those who use another language."""

import importlib
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.dealrec.client.conftest import CONFIG, Service

generator = pytest.importorskip("openapi_python_client")


@pytest.fixture
def generated(service: Service, tmp_path: Path) -> Iterator[ModuleType]:
    document = tmp_path / "openapi.json"
    document.write_bytes(httpx.get(f"{service.url}/openapi.json", timeout=60).content)
    from openapi_python_client.config import Config, ConfigFile, MetaType

    # A zip is bytes to the generator; formatting what it makes is nothing to test.
    options = ConfigFile(
        content_type_overrides={"application/zip": "application/octet-stream"}, post_hooks=[]
    )
    config = Config.from_sources(
        options, MetaType.NONE, document, "utf-8", True, tmp_path / "dealrec_api"
    )
    complaints = generator.generate(config=config)
    assert [f"{complaint.header}: {complaint.detail}" for complaint in complaints] == []
    sys.path.insert(0, str(tmp_path))
    yield importlib.import_module("dealrec_api")
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == "dealrec_api"]:
        del sys.modules[name]


def test_it_uploads_prunes_waits_and_downloads(
    service: Service, generated: ModuleType, data: Path
) -> None:
    def ask(operation: str, *arguments: Any, **options: Any) -> Any:
        module = importlib.import_module(f"dealrec_api.api.{operation}")
        return module.sync_detailed(*arguments, client=client, **options)

    from dealrec_api import models  # type: ignore[import-not-found]
    from dealrec_api.types import File  # type: ignore[import-not-found]

    client, content = generated.Client(base_url=service.url), data.read_bytes()
    body = models.UploadCreate(filename="interactions.csv", bytes_=len(content))
    upload = ask("uploads.create_upload", body=body).parsed
    for number in range(-(-len(content) // upload.part_bytes)):
        start = number * upload.part_bytes
        part = File(payload=BytesIO(content[start : start + upload.part_bytes]))
        assert ask("uploads.put_upload_part", upload.id, number + 1, body=part).status_code == 200
    assert ask("uploads.complete_upload", upload.id).parsed.state == "complete"
    from_upload = models.DatasetCreate(interactions_upload_id=upload.id, name="generated")
    dataset = ask("data_sets.create_dataset", body=from_upload).parsed
    wanted = models.JobCreate.from_dict({"dataset_id": dataset.id, "budget": 12, "config": CONFIG})
    job = ask("jobs.create_job", body=wanted).parsed
    deadline = time.monotonic() + 120
    while job.state not in ("succeeded", "failed"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
        job = ask("jobs.get_job", job.id).parsed
    assert (job.state, job.error) == ("succeeded", None)
    lines = ask("coresets.download_coreset", job.coreset_id).content.splitlines()
    assert len(lines) == ask("coresets.get_coreset", job.coreset_id).parsed.size == 12
    refused = ask("jobs.get_job", "job_none")
    assert (refused.status_code, refused.parsed.code) == (404, "not_found")
