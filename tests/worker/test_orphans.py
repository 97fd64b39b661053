"""Files that a killed run left in storage."""

from pathlib import Path

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ArtifactRow
from dealrec.worker.claims import claim
from dealrec.worker.orphans import remove_orphans
from dealrec.worker.sweeper import sweep
from tests.worker.makers import TENANT, new_job, ready_dataset


def store(storage: Storage, tmp_path: Path, prefix: str) -> str:
    file = tmp_path / "some-file"
    file.write_bytes(b"x")
    storage.put_file(f"{prefix}/some-file", file)
    return prefix


def test_what_no_row_points_to_goes_once_it_is_old_and_all_else_stays(
    settings: Settings, database: Database, storage: Storage, tmp_path: Path
) -> None:
    with database.session() as session:
        dataset = ready_dataset(session)
        new_job(session, dataset)
    running = claim(database, settings, "one", queues=["gpu"])
    assert running is not None
    stage = f"artifacts/{TENANT}/{running.stage_id}"
    kept = [
        store(storage, tmp_path, f"{stage}/{running.fence}"),
        store(storage, tmp_path, f"artifacts/{TENANT}/st_done/1"),
        store(storage, tmp_path, f"datasets/{TENANT}/{dataset.id}/2"),
        store(storage, tmp_path, f"datasets/{TENANT}/{dataset.id}/uploads"),
        store(storage, tmp_path, f"uploads/{TENANT}/up_1"),
    ]
    lost = [
        store(storage, tmp_path, f"{stage}/{running.fence + 7}"),
        store(storage, tmp_path, f"artifacts/{TENANT}/st_done/2"),
        store(storage, tmp_path, f"datasets/{TENANT}/{dataset.id}/1"),
        store(storage, tmp_path, f"datasets/{TENANT}/ds_gone/uploads"),
        store(storage, tmp_path, f"coresets/{TENANT}/cs_lost"),
        store(storage, tmp_path, f"adapters/{TENANT}/ad_lost"),
    ]
    with database.session() as session:
        session.get_one(DatasetRow, dataset.id).prefix = kept[2]
        session.add(
            ArtifactRow(
                id="art_1",
                tenant_id=TENANT,
                stage="surrogate",
                key="k",
                prefix=kept[1],
                created_at=database_now(session),
            )
        )
    assert remove_orphans(database, storage, hours=1) == 0
    assert all(storage.keys(prefix) for prefix in kept + lost)
    assert remove_orphans(database, storage, hours=0) == len(lost)
    assert all(storage.keys(prefix) for prefix in kept)
    assert not any(storage.keys(prefix) for prefix in lost)


def test_the_sweeper_looks_for_them_when_it_is_told_to(
    settings: Settings, database: Database, storage: Storage, tmp_path: Path
) -> None:
    prefix = store(storage, tmp_path, f"artifacts/{TENANT}/st_lost/1")
    soon = settings.model_copy(update={"orphan_hours": 0})
    sweep(soon, database, storage)
    assert storage.keys(prefix)
    sweep(soon, database, storage, orphans=True)
    assert storage.keys(prefix) == []
