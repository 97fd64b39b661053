"""A service whose stages run in this process's own runner, one after the other, and its data."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.main import create_app
from dealrec.app.settings import Settings
from dealrec.data.synthetic import write_sample_data
from dealrec.worker.claims import claim
from dealrec.worker.runner import Runner
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model


@pytest.fixture
def client(settings: Settings, database: Database) -> Iterator[TestClient]:
    app = create_app(settings)
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


@pytest.fixture
def run_all(settings: Settings, database: Database, storage: Storage) -> Callable[[], None]:
    """Runs stages until none is queued."""
    runner = Runner(settings, database, storage, lambda: False)

    def run() -> None:
        while (taken := claim(database, settings, "test", queues=["cpu", "gpu"])) is not None:
            runner.run(taken)

    return run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    write_sample_data(folder, users=60, items=30)
    return folder


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tiny language model in the catalogue."""
    folder = tmp_path / "model"
    tiny_model().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    catalogue = tmp_path / "models.toml"
    catalogue.write_text('[models.tiny]\nfolder = "model"\nlicence = "apache-2.0"\n')
    monkeypatch.setenv("DEALREC_MODELS", str(catalogue))
    return "tiny"


@pytest.fixture
def dataset_id(client: TestClient, source: Path, run_all: Callable[[], None]) -> str:
    with (source / "interactions.csv").open("rb") as one, (source / "items.csv").open("rb") as two:
        made = client.post("/v1/datasets", files={"interactions": one, "items": two})
    run_all()
    identifier: str = made.json()["id"]
    assert client.get(f"/v1/datasets/{identifier}").json()["state"] == "ready"
    return identifier
