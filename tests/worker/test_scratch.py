import pytest

from dealrec.app.kit.database import Database
from dealrec.app.settings import Settings
from dealrec.worker import claims
from dealrec.worker.scratch import remove_stale_scratch, scratch_folder
from tests.worker.makers import new_job, ready_dataset


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def test_folders_of_runs_that_are_over_go_and_those_of_current_runs_stay(
    settings: Settings, database: Database
) -> None:
    with database.session() as session:
        dataset = ready_dataset(session)
        for _ in range(2):
            new_job(session, dataset)
    lost, current = (claims.claim(database, settings, "one", queues=["gpu"]) for _ in range(2))
    assert lost is not None and current is not None
    for claim in (lost, current):
        (scratch_folder(settings, claim) / "out").mkdir(parents=True)
    claims.release(database, lost)
    remove_stale_scratch(settings, database)
    assert not scratch_folder(settings, lost).exists()
    assert (scratch_folder(settings, current) / "out").is_dir()
