"""A client of the real application, and what finished jobs leave behind."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from dealrec.app.keys.service import create_key
from dealrec.app.kit.caller import ALL_SCOPES, Scope
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.main import create_app
from dealrec.app.settings import Settings
from dealrec.app.tables.adapters import AdapterRow
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import (
    ArtifactRow,
    JobKind,
    JobRow,
    JobState,
    ScoreRow,
    StageRow,
    StageState,
)
from dealrec.app.tables.webhooks import DeliveryRow, DeliveryState, WebhookRow
from dealrec.app.webhooks.signing import new_secret
from dealrec.config import PruneConfig
from dealrec.coresets.writer import score_table, write_coreset
from dealrec.data.ingest import ingest
from dealrec.data.samples import build_samples
from dealrec.disk import file_sha256
from dealrec.selection.interface import Scores
from dealrec.selection.select import select
from tests.worker.makers import interactions

CONFIG = PruneConfig.model_validate(
    {
        "effort": None,
        "selection": {"method": "dealrec", "strata": 5},
        "influence": {"target": "train"},
    }
)


@pytest.fixture
def app(settings: Settings, database: Database) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def make_client(app: FastAPI) -> Callable[..., TestClient]:
    def make(**options: Any) -> TestClient:
        options.setdefault("client", ("127.0.0.1", 50000))
        return TestClient(
            app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False, **options
        )

    return make


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> Iterator[TestClient]:
    with make_client() as client:
        yield client


@pytest.fixture
def csv() -> bytes:
    """60 users with 8 interactions each."""
    return interactions().encode()


@pytest.fixture
def make_key(database: Database) -> Callable[..., dict[str, str]]:
    def make(
        tenant: str = "default",
        expires_days: int | None = None,
        scopes: Iterable[Scope] = ALL_SCOPES,
    ) -> dict[str, str]:
        with database.session() as session:
            _, text = create_key(session, "test", tenant, scopes=scopes, expires_days=expires_days)
        return {"authorization": f"Bearer {text}"}

    return make


@dataclass(frozen=True)
class Finished:
    """Ids of a finished job and of all around it."""

    dataset: str
    job: str
    coreset: str
    finetune: str
    adapter: str
    webhook: str
    delivery: str


def samples_of(dataset: DatasetRow) -> int:
    """How many samples it has where each user is one."""
    assert dataset.counts is not None
    return dataset.counts["samples_per_user"]


class Finisher:
    """Leaves the rows and files that the worker leaves; only the scores' numbers are drawn."""

    def __init__(self, database: Database, storage: Storage, folder: Path) -> None:
        self.database, self.storage, self.folder = database, storage, folder

    def dataset(self, tenant: str = "default") -> DatasetRow:
        source = self.folder / "interactions.csv"
        source.write_text(interactions())
        identifier = new_id("ds")
        out = self.folder / identifier
        result = ingest(source, out=out)
        prefix = f"datasets/{tenant}/{identifier}/1"
        self.storage.put_folder(prefix, out)
        lengths = np.diff(result.dataset.subsequences((0,))[0])
        with self.database.session() as session:
            row = DatasetRow(
                id=identifier,
                tenant_id=tenant,
                name="games",
                state=DatasetState.READY.value,
                split=result.dataset.split_method.value,
                uploads={},
                prefix=prefix,
                sha256=result.dataset.sha256,
                counts=result.counts,
                report=result.report,
                train_lengths={str(n): int((lengths == n).sum()) for n in set(lengths.tolist())},
                created_at=database_now(session),
            )
            session.add(row)
        self.loaded = result.dataset
        return row

    def all(self, tenant: str = "default") -> Finished:
        """A data set, a prune job with its coreset, a finetune job with its adapter."""
        dataset = self.dataset(tenant)
        samples = build_samples(self.loaded)
        draw = np.random.default_rng(0)
        scores = Scores(samples.keys(self.loaded), draw.normal(size=len(samples)), None)
        selection = select(scores, 12, CONFIG.selection)
        out = self.folder / new_id("out")
        written = write_coreset(
            self.loaded,
            samples,
            scores,
            selection,
            config=CONFIG,
            budget_requested=12,
            facts={},
            out=out,
        )
        job, finetune = new_id("job"), new_id("job")
        coreset, adapter = new_id("cs"), new_id("ad")
        stage, artifact = new_id("st"), new_id("art")
        artifact_prefix = f"artifacts/{tenant}/{stage}/1"
        self.storage.put_folder(artifact_prefix, out)
        self.storage.put_folder(f"coresets/{tenant}/{coreset}", out)
        weights = self.folder / "weights"
        weights.mkdir(exist_ok=True)
        (weights / "adapter_config.json").write_text("{}")
        (weights / "adapter_model.safetensors").write_bytes(b"\x08" + b"\x00" * 7 + b"{}      ")
        self.storage.put_folder(f"adapters/{tenant}/{adapter}", weights)
        with self.database.session() as session:
            now = database_now(session)
            common = {"tenant_id": tenant, "dataset_id": dataset.id}
            session.add_all(
                [
                    JobRow(
                        **common,
                        id=job,
                        kind=JobKind.PRUNE.value,
                        state=JobState.SUCCEEDED.value,
                        budget_requested=12,
                        budget_samples=12,
                        config=CONFIG.model_dump(mode="json"),
                        job_metadata={},
                        coreset_id=coreset,
                        created_at=now,
                        started_at=now,
                        finished_at=now,
                    ),
                    JobRow(
                        **common,
                        id=finetune,
                        kind=JobKind.FINETUNE.value,
                        state=JobState.SUCCEEDED.value,
                        source_coreset_id=coreset,
                        config={},
                        job_metadata={},
                        adapter_id=adapter,
                        created_at=now,
                    ),
                    ArtifactRow(
                        id=artifact,
                        tenant_id=tenant,
                        stage="select",
                        key=stage.ljust(64, "0")[:64],
                        prefix=artifact_prefix,
                        created_at=now,
                    ),
                ]
            )
            session.flush()
            session.add(
                StageRow(
                    **common,
                    id=stage,
                    job_id=job,
                    name="select",
                    queue="cpu",
                    state=StageState.SUCCEEDED.value,
                    artifact_id=artifact,
                    needs=[],
                )
            )
            session.add(
                CoresetRow(
                    **common,
                    id=coreset,
                    job_id=job,
                    size=written.size,
                    selection=CONFIG.selection.model_dump(mode="json"),
                    sha256=written.sha256,
                    coverage=written.coverage,
                    prefix=f"coresets/{tenant}/{coreset}",
                    created_at=now,
                )
            )
            session.flush()
            session.add(
                AdapterRow(
                    **common,
                    id=adapter,
                    job_id=finetune,
                    coreset_id=coreset,
                    model="smollm2-135m",
                    config={"lora": {"rank": 3}},
                    files=[
                        {
                            "name": path.name,
                            "bytes": path.stat().st_size,
                            "sha256": file_sha256(path),
                        }
                        for path in sorted(weights.iterdir())
                    ],
                    prefix=f"adapters/{tenant}/{adapter}",
                    created_at=now,
                )
            )
            table = score_table(scores, selection).to_pylist()
            session.add_all(
                ScoreRow(job_id=job, tenant_id=tenant, sample_index=index, **row)
                for index, row in enumerate(table)
            )
            webhook, delivery = new_id("wh"), new_id("msg")
            session.add(
                WebhookRow(
                    id=webhook,
                    tenant_id=tenant,
                    url="https://1.1.1.1/hooks",
                    events=["job.failed"],
                    active=False,  # nothing is sent to it
                    secret=new_secret(),
                    created_at=now,
                )
            )
            session.flush()
            session.add(
                DeliveryRow(
                    id=delivery,
                    tenant_id=tenant,
                    webhook_id=webhook,
                    job_id=job,
                    sequence=1,
                    event="job.failed",
                    body="{}",
                    state=DeliveryState.DELIVERED.value,
                    attempts=1,
                    next_at=now,
                    created_at=now,
                    ended_at=now,
                )
            )
        return Finished(dataset.id, job, coreset, finetune, adapter, webhook, delivery)


@pytest.fixture
def finisher(database: Database, storage: Storage, tmp_path: Path) -> Finisher:
    folder = tmp_path / "finished"
    folder.mkdir()
    return Finisher(database, storage, folder)
