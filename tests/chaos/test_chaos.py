"""The short form of ``make chaos``: both shapes, a dozen disturbances each."""

from pathlib import Path

import pytest

from tests.chaos.run import chaos
from tests.chaos.work import Undisturbed

SEED = 7


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize(("shape", "disturbances"), [("sqlite", 7), ("postgres", 10)])
def test_nothing_is_lost_doubled_redone_or_changed(
    shape: str, disturbances: int, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    result = chaos(
        shape,
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
