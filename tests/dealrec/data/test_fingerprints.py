from pathlib import Path

import pyarrow.compute as pc
import pytest

from dealrec.config import DataOptions, Sampling
from dealrec.data.dataset import Dataset
from dealrec.data.fingerprints import sample_fingerprints
from dealrec.data.ingest import ingest
from dealrec.data.samples import build_samples

ROWS = [("u1", "i1", 1), ("u1", "i2", 2), ("u1", "i3", 3), ("u2", "i2", 1), ("u2", "i1", 2)]


def made(folder: Path, rows, titles: str = "i1,One\ni2,Two\n") -> Dataset:
    folder.mkdir()
    lines = "".join(f"{user},{item},{time}\n" for user, item, time in rows)
    (folder / "a.csv").write_text(
        "user_id,item_id,timestamp,split\n" + lines.replace("\n", ",train\n")
    )
    (folder / "b.csv").write_text(f"item_id,title\n{titles}")
    options = DataOptions.parse({"split": "column"}, location="data")
    result = ingest(folder / "a.csv", items=folder / "b.csv", options=options, out=folder / "out")
    return result.dataset


@pytest.mark.parametrize(
    ("rows", "titles", "same"),
    [
        ([("u0", "i0", 5), ("u0", "i1", 6), *ROWS], None, {"u1:1", "u1:2", "u2:1"}),
        ([*ROWS, ("u2", "i3", 9)], None, {"u1:1", "u1:2", "u2:1"}),
        ([*ROWS, ("u2", "i9", 0)], None, {"u1:1", "u1:2"}),
        ([*ROWS[:2], ("u1", "i3", 4), *ROWS[3:]], None, {"u1:1", "u2:1"}),
        (ROWS, "i1,One\ni2,Two\ni3,Three\n", {"u1:1", "u2:1"}),
    ],
    ids=["new user", "later row", "late row", "other time", "new title"],
)
def test_samples_are_known_again_if_their_words_are_the_same(tmp_path, rows, titles, same) -> None:
    old = made(tmp_path / "old", ROWS)
    new = made(tmp_path / "new", rows, *([titles] if titles else []))
    had, has = (build_samples(one, Sampling.PER_INTERACTION) for one in (old, new))
    at = pc.index_in(has.keys(new), value_set=had.keys(old)).to_pylist()
    before, now = sample_fingerprints(old, had), sample_fingerprints(new, has)
    found = {
        key
        for key, place, mark in zip(has.keys(new).to_pylist(), at, now, strict=True)
        if place is not None and before[place] == mark
    }
    assert found == same
