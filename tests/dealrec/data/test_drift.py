"""The drift of a version, against sums written out."""

from pathlib import Path

import numpy as np
import pytest

from dealrec.config import DataOptions
from dealrec.data.append import append
from dealrec.data.dataset import Dataset
from dealrec.data.drift import drift
from dealrec.data.ingest import ingest


def rows(*users: tuple[str, list[tuple[str, int]]]) -> str:
    lines = [f"{user},{item},{time}" for user, items in users for item, time in items]
    return "\n".join(["user_id,item_id,timestamp", *lines, ""])


def decayed(dataset: Dataset, span: float) -> dict[str, float]:
    """The mass of each item by its id, one interaction after the other."""
    assert dataset.times is not None
    newest, mass = int(dataset.times.max()), dict[str, float]()
    for item, time in zip(dataset.items.tolist(), dataset.times.tolist(), strict=True):
        name = dataset.item_ids[item].as_py()
        mass[name] = mass.get(name, 0.0) + 2.0 ** (-(newest - time) / span)
    total = sum(mass.values())
    return {name: value / total for name, value in mass.items()}


def divergence(one: dict[str, float], other: dict[str, float]) -> float:
    """The Jensen-Shannon divergence in bits."""
    found = 0.0
    for name in one.keys() | other.keys():
        p, q = one.get(name, 0.0), other.get(name, 0.0)
        for value in (p, q):
            found += 0.5 * value * float(np.log2(value / (0.5 * (p + q)))) if value else 0.0
    return found


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("versions")
    draw = np.random.default_rng(0)
    history = [
        (f"u{user}", [(f"i{draw.integers(6)}", 10 * step + user) for step in range(5)])
        for user in range(12)
    ]
    later = [(f"u{user}", [("i1", 100 + user), (f"n{user % 3}", 120 + user)]) for user in range(8)]
    (folder / "a.csv").write_text(rows(*history))
    (folder / "b.csv").write_text(rows(*later))
    options = DataOptions(split="leave_one_out")
    ingest(folder / "a.csv", options=options, out=folder / "1")
    result = append(folder / "1", folder / "b.csv", out=folder / "2")
    assert result.report["drift"] is not None
    return folder / "1", folder / "2"


def test_the_figures_are_those_of_plain_sums(versions: tuple[Path, Path]) -> None:
    before, now = map(Dataset.load, versions)
    assert before.times is not None
    ages = np.sort(before.times.max() - before.times)
    span = float(ages[int(np.ceil(0.1 * (len(ages) - 1)))])
    found = drift(before, now)
    expected = divergence(decayed(before, span), decayed(now, span)) ** 0.5
    assert found["popularity"] == pytest.approx(expected, abs=1e-6)
    assert 0.05 < expected < 1
    assert found["new_items"] == pytest.approx(3 / 9, abs=1e-6)
    came = now.n_interactions - before.n_interactions
    on_new = sum(now.item_ids[item].as_py().startswith("n") for item in now.items.tolist())
    assert found["new_item_interactions"] == pytest.approx(on_new / came, abs=1e-6)


def test_the_same_data_have_not_drifted_and_the_report_says_how_far_others_have(
    versions: tuple[Path, Path],
) -> None:
    before, now = map(Dataset.load, versions)
    nothing = {"popularity": 0.0, "new_items": 0.0, "new_item_interactions": 0.0}
    assert drift(before, before) == nothing
    assert now.validation is not None
    assert now.validation.get("drift") == drift(before, now)
    assert not before.validation or before.validation.get("drift") is None


def test_steps_add_up_to_at_least_the_whole_way(versions: tuple[Path, Path]) -> None:
    before, now = map(Dataset.load, versions)
    kept = np.ones(now.n_interactions, bool)
    kept[now.items == int(np.bincount(now.items).argmax())] = False
    between = now.restricted(kept, sha256="0")
    steps = drift(before, between)["popularity"] + drift(between, now)["popularity"]
    assert steps >= drift(before, now)["popularity"]
