"""The short form of ``make chaos``, on PostgreSQL and Celery. The long form has SQLite as well."""

from pathlib import Path

from tests.chaos.run import chaos
from tests.chaos.work import Undisturbed

SEED = 7


def test_nothing_is_lost_doubled_redone_or_changed(tmp_path: Path) -> None:
    disturbances = 6
    undisturbed = Undisturbed(tmp_path / "undisturbed")
    result = chaos(
        "postgres",
        tmp_path / "chaos",
        undisturbed,
        seed=SEED,
        jobs=3,
        disturbances=disturbances,
        models=False,
    )
    assert sum(result.disturbances.values()) == disturbances
    assert result.jobs >= 3
    assert result.orphans == []
    verdict = result.verdict
    assert verdict.lost == []
    assert verdict.duplicated == []
    assert verdict.redone == []
    assert verdict.differ == []
