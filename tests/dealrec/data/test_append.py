"""Versions of a data set: an append gives what all files together would give."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dealrec.config import DataOptions
from dealrec.data.append import append
from dealrec.data.appended import Appended
from dealrec.data.dataset import Dataset
from dealrec.data.ingest import IngestResult, ingest
from dealrec.errors import InputError

START, DAY = 1_600_000_000, 86_400
Row = tuple[object, ...]


def rows(rng, count: int, users: int, items: int, days: tuple[int, int]) -> list[Row]:
    """Random interactions with a rating and a split, some of them at the same time."""
    columns = (
        [f"u{n}" for n in rng.integers(users, size=count)],
        [f"i{n}" for n in rng.integers(items, size=count)],
        (START + DAY // 2 * rng.integers(2 * days[0], 2 * days[1], size=count)).tolist(),
        rng.integers(9, size=count).tolist(),
        rng.integers(1, 6, size=count).tolist(),
        rng.choice(["train", "train", "valid", "test"], size=count).tolist(),
    )
    return list(zip(*columns, strict=True))


def write(path: Path, given: Sequence[Row], header: str = "") -> Path:
    header = header or "user_id,item_id,timestamp,position,rating,split"
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in given), ""]))
    return path


def added(made: IngestResult) -> Appended:
    found = made.report["appended"]
    assert found is not None
    return found


def titles(numbers: range, word: str = "Title") -> list[Row]:
    return [
        (f"i{n}", "" if n % 7 == 0 else f"{word} {n}"[: 4 + n % 5], f"b{n % 3}") for n in numbers
    ]


def files(folder: Path, seed: int) -> dict[str, Path]:
    """Three files of interactions, the later ones with late and repeated rows, and two of items."""
    rng = np.random.default_rng(seed)
    first = rows(rng, 300, 30, 40, (0, 10))
    second = [*rows(rng, 40, 36, 48, (6, 14)), *first[:3]]
    worse = [(*row[:4], 1, "test") for row in second[:2]]
    better = [(*row[:4], 5, "train") for row in second[2:5]]
    third = [*rows(rng, 20, 40, 50, (5, 14)), *worse, *better]
    made = {
        n: write(folder / f"{n}.csv", r) for n, r in zip("abc", (first, second, third), strict=True)
    }
    header = "item_id,title,brand"
    late = [(f"i{n}", f"Late {n}", "late") for n in range(0, 36, 7)]
    made["x"] = write(folder / "x.csv", titles(range(35)), header)
    made["y"] = write(folder / "y.csv", [*titles(range(30, 48)), *late], header)
    return made


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"split": "leave_one_out"},
        {"split": "global_time"},
        {"split": "column", "ratings": True},
        {"user_core": 5, "item_core": 4, "split": "global_time"},
        {"min_rating": 3, "repeats": "last"},
        {"repeats": "first", "last_days": 8},
        {"session_minutes": 2880, "user_core": 2, "split": "leave_one_out"},
        {"min_title_length": 6, "user_core": 3, "item_core": 3},
        {"format": {"order": "file"}, "split": "leave_one_out"},
    ],
    ids=lambda options: "-".join(options) or "defaults",
)
def test_a_version_is_what_all_files_together_give(tmp_path: Path, options) -> None:
    asked = DataOptions.parse({"allowed_rejected": 1.0, **options}, location="data")
    made = files(tmp_path, seed=len(options))
    a, b, c, x, y = (made[name] for name in "abcxy")
    whole = ingest([a, b, c], items=[x, y], options=asked, out=tmp_path / "whole")
    first = ingest(a, items=x, options=asked, out=tmp_path / "1")
    second = append(tmp_path / "1", b, items=y, out=tmp_path / "2")
    third = append(tmp_path / "2", c, out=tmp_path / "3")
    assert third.dataset.sha256 == whole.dataset.sha256
    assert third.counts == whole.counts
    assert len({first.dataset.sha256, second.dataset.sha256, third.dataset.sha256}) == 3
    stored = Dataset.load(tmp_path / "3")
    assert np.array_equal(stored.items, whole.dataset.items)
    assert np.array_equal(stored.splits, whole.dataset.splits)
    assert added(third)["parent_sha256"] == second.dataset.sha256


SMALL = [("u1", "i1", 10), ("u1", "i2", 20), ("u2", "i1", 15), ("u2", "i2", 30)]
HEADER = "user_id,item_id,timestamp"


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    ingest(
        write(tmp_path / "a.csv", SMALL, HEADER),
        options=DataOptions.parse({"split": "leave_one_out"}, location="data"),
        out=tmp_path / "parent",
    )
    return tmp_path / "parent"


def test_late_repeated_and_new_rows_are_counted(parent: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in parent.iterdir()}
    more = [("u1", "i3", 25), ("u3", "i1", 40), ("u1", "i2", 20), ("u3", "i1", 40), ("", "i1", 50)]
    options = DataOptions.parse({"allowed_rejected": 0.5}, location="data")
    made = append(
        parent, write(tmp_path / "b.csv", more, HEADER), options=options, out=tmp_path / "b"
    )
    assert added(made) == {
        "parent_sha256": Dataset.load(parent).sha256,
        "interactions": 2,
        "repeated": 2,
        "replaced": 0,
        "late": 1,
        "new_users": 1,
        "new_items": 1,
        "new_texts": 0,
    }
    assert (made.report["accepted_rows"], made.report["rejected_rows"]) == (2, 3)
    assert {one["reason"] for one in made.report["rejections"]} == {
        "duplicate_row",
        "empty_user_id",
    }
    assert {path.name: path.read_bytes() for path in parent.iterdir()} == before


def test_items_alone_bring_titles(parent: Path, tmp_path: Path) -> None:
    items = write(tmp_path / "items.csv", [("i1", "One"), ("i9", "Nine")], "item_id,title")
    made = append(parent, items=items, out=tmp_path / "b")
    assert made.dataset.titles.to_pylist() == ["One", "i2", "Nine"]
    assert (added(made)["new_texts"], added(made)["new_items"]) == (1, 1)
    again = write(tmp_path / "again.csv", [("i1", "Uno"), ("i2", "Two")], "item_id,title")
    twice = append(tmp_path / "b", items=again, out=tmp_path / "c")
    assert twice.dataset.titles.to_pylist() == ["One", "Two", "Nine"]
    counts = twice.report["items"]
    assert counts is not None and counts["reasons"][0]["reason"] == "duplicate_item"


def test_an_append_that_cannot_be_is_refused(parent: Path, tmp_path: Path) -> None:
    later = write(tmp_path / "b.csv", [("u1", "i3", 25)], HEADER)
    untimed = write(tmp_path / "c.csv", [("u1", "i3", 1)], "user_id,item_id,position")
    core = DataOptions.parse({"user_core": 3}, location="data")
    refused = [
        ((parent, None, None), "no_data"),
        ((parent, untimed, None), "columns_differ"),
        ((parent, later, core), "invalid_config"),
    ]
    for (folder, given, options), code in refused:
        with pytest.raises(InputError) as refusal:
            append(folder, given, options=options, out=tmp_path / "out")
        assert refusal.value.code == code
    (parent / "growth.json").unlink()  # as version 0.1.0 stored it
    with pytest.raises(InputError) as refusal:
        append(parent, later, out=tmp_path / "out")
    assert refusal.value.code == "append_not_possible"
    assert not (tmp_path / "out").exists()


def test_files_may_be_read_otherwise_than_before(parent: Path, tmp_path: Path) -> None:
    later = write(tmp_path / "b.csv", [("u1", "i3", 25)], "who,item_id,timestamp")
    options = DataOptions.parse({"columns": {"user_id": "who"}}, location="data")
    made = append(parent, later, options=options, out=tmp_path / "b")
    assert made.dataset.n_interactions == len(SMALL) + 1
    kept = json.loads((tmp_path / "b" / "report.json").read_text())["report"]["options"]
    assert kept == {"columns": {"user_id": "who"}, "split": "leave_one_out"}


def ways(
    folder: Path, options: dict[str, object], *texts: str
) -> tuple[IngestResult, IngestResult]:
    """The second file appended to the first, and both read together; the third is of items."""
    asked = DataOptions.parse({"split": "leave_one_out", **options}, location="data")
    first, second, *items = (folder / f"{at}.csv" for at in range(len(texts)))
    for path, text in zip((first, second, *items), texts, strict=True):
        path.write_text(text)
    ingest(first, items=items or None, options=asked, out=folder / "before")
    grown = append(folder / "before", second, out=folder / "after")
    return grown, ingest([first, second], items=items or None, options=asked, out=folder / "whole")


HEADER = "user_id,item_id,timestamp\n"


def test_ids_that_lost_their_zeros_are_those_of_the_version_before(tmp_path: Path) -> None:
    first = HEADER + "".join(f"{u},{i},{i}\n" for u in ("u1", "u2") for i in (5, 6, 7, 8))
    items = "item_id,title\n005,Five\n006,Six\n007,Seven\n008,Eight\n"
    grown, whole = ways(
        tmp_path, {"normalise_ids": True}, first, HEADER + "u3,5,40\nu3,6,50\nu3,7,60\n", items
    )
    assert grown.dataset.item_ids.to_pylist() == ["005", "006", "007", "008"]
    assert grown.dataset.sha256 == whole.dataset.sha256


@pytest.mark.parametrize("second", ["5", "05", "005", " 5", '="5"', "5.0"])
@pytest.mark.parametrize("first", ["5", "05", "005"])
def test_an_id_in_two_forms_is_one_in_an_append_as_in_all_files_together(
    tmp_path: Path, first: str, second: str
) -> None:
    others = "".join(f"{user},{item},1\n" for user in ("u1", "u2", "u3") for item in (6, 7, 8))
    rows = [HEADER + others + f"u1,{written},9\n" for written in (first, second)]
    items = "item_id,title\n005,Five\n006,Six\n007,Seven\n008,Eight\n"
    grown, whole = ways(tmp_path, {"normalise_ids": True}, *rows, items)
    assert grown.dataset.item_ids.to_pylist() == ["005", "006", "007", "008"]
    assert grown.dataset.sha256 == whole.dataset.sha256


@pytest.mark.parametrize("late", ["05", "009"])
def test_an_item_whose_zeros_make_earlier_ids_unclear_is_refused(tmp_path: Path, late: str) -> None:
    texts = {
        "first.csv": HEADER + "".join(f"{u},{i},{i}\n" for u in ("u1", "u2") for i in (5, 6, 7, 8)),
        "items.csv": "item_id,title\n005,Five\n006,Six\n007,Seven\n008,Eight\n",
        "later.csv": f"item_id,title\n{late},Another\n",
    }
    first, items, later = (tmp_path / name for name in texts)
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    asked = DataOptions.parse({"split": "leave_one_out", "normalise_ids": True}, location="data")
    ingest(first, items=items, options=asked, out=tmp_path / "before")
    if late == "009":
        made = append(tmp_path / "before", items=later, out=tmp_path / "after")
        whole = ingest(first, items=[items, later], options=asked, out=tmp_path / "whole")
        assert made.dataset.sha256 == whole.dataset.sha256
        return
    with pytest.raises(InputError, match=r"`05`.*`005`.*Make a new data set from all"):
        append(tmp_path / "before", items=later, out=tmp_path / "after")


@pytest.mark.parametrize("repeats", ["first", "last"])
def test_a_repeat_that_is_left_out_still_holds_its_session_together(
    tmp_path: Path, repeats: str
) -> None:
    at = [("u1", "i1", 0), ("u1", "i2", 1500), ("u1", "i1", 3000), ("u1", "i3", 4500)]
    at += [("u2", f"i{n}", 60 * n) for n in range(1, 5)]
    first, second = (
        HEADER + "".join(f"{user},{item},{START + when}\n" for user, item, when in given)
        for given in (at, [("u3", f"i{n}", 60 * n) for n in range(1, 4)])
    )
    grown, whole = ways(tmp_path, {"session_minutes": 30, "repeats": repeats}, first, second)
    assert grown.dataset.user_ids.to_pylist() == whole.dataset.user_ids.to_pylist()
    assert grown.dataset.sha256 == whole.dataset.sha256


def test_times_in_another_unit_than_before_are_warned_of(tmp_path: Path) -> None:
    first, second = (
        HEADER
        + "".join(f"{user},i{n},{(START + DAY * n) * unit}\n" for user in users for n in range(9))
        for users, unit in ((("u1", "u2"), 1), (("u3",), 1000))
    )
    grown, whole = ways(tmp_path, {}, first, second)
    for made in (grown, whole):
        assert "mixed_time_units" in {one["code"] for one in made.report["warnings"]}


def test_counts_of_all_versions_are_not_said_of_the_last_file(tmp_path: Path) -> None:
    first = HEADER + "".join(f"u{n},i{k},{START + k * DAY}\n" for n in range(4) for k in range(5))
    with pytest.raises(InputError, match=r"1\.csv with the version before it has 1 interactions"):
        ways(tmp_path, {"last_days": 8}, first, HEADER + f"u9,i1,{START + 100 * DAY}\n")


def test_equal_times_of_all_versions_are_not_said_of_the_last_file(tmp_path: Path) -> None:
    header = "user_id,item_id,timestamp"
    tied = [(f"u{n}", f"i{n + place}", START) for n in range(9) for place in range(4)]
    first = ingest(write(tmp_path / "first.csv", tied, header), out=tmp_path / "first")
    later = write(tmp_path / "later.csv", [("u1", "i20", START + DAY)], header)
    made = append(tmp_path / "first", later, out=tmp_path / "made")
    (before,) = (w for w in first.report["warnings"] if w["code"] == "tied_interactions")
    (after,) = (w for w in made.report["warnings"] if w["code"] == "tied_interactions")
    assert "36 of 36 interactions in first.csv have" in before["message"]
    assert "36 of 37 interactions in later.csv with the version before it have" in after["message"]
