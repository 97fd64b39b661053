"""Data sets of texts without ids: each text a sample, split by users or by a column."""

import json
import shutil

import numpy as np
import pytest

from dealrec.config import DataOptions, PromptConfig, Sampling
from dealrec.config.stages import reported
from dealrec.data.append import append
from dealrec.data.dataset import Dataset
from dealrec.data.findings import validation_lines
from dealrec.data.ingest import ingest
from dealrec.data.prompter import Prompter
from dealrec.data.samples import build_samples, validation_samples
from dealrec.errors import InputError

ROWS = [{"sample_id": f"k{at}", "prompt": f"Row {at}:", "completion": f" {at}"} for at in range(30)]


def texts(folder, rows=ROWS, items=None, **options):
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ingest(
        None,
        items=items,
        samples=folder / "texts.jsonl",
        options=DataOptions.parse(options, location="data"),
        out=folder / "dataset",
    )


def keys(samples, dataset):
    return [] if samples is None else samples.keys(dataset).to_pylist()


def test_every_text_is_a_sample_of_its_own_user_and_for_training(tmp_path):
    result = texts(tmp_path)
    loaded = Dataset.load(tmp_path / "dataset")
    samples = build_samples(loaded)
    assert samples.unit is Sampling.GIVEN
    assert keys(samples, loaded) == sorted(row["sample_id"] for row in ROWS)
    assert loaded.user_ids.take(samples.users).to_pylist() == keys(samples, loaded)
    prompted = Prompter(loaded, samples, PromptConfig()).prompt(3)
    assert (prompted.prompt, prompted.completion) == ("Row 11:", " 11")
    assert not loaded.has_ids and not samples.has_ids and len(samples.history(0)) == 0
    assert validation_samples(loaded) is None
    assert not reported(result.report)["has_ids"]
    assert (result.counts["samples_given"], result.counts["users"], result.counts["items"]) == (
        30,
        30,
        0,
    )
    told = " ".join(validation_lines(result.report))
    assert "surrogate and influence are left out" in told and "none is held out" in told
    assert "interactions" not in told


def test_the_order_of_rows_means_nothing_and_every_text_counts(tmp_path):
    first = texts(tmp_path).dataset.sha256
    assert texts(tmp_path, ROWS[::-1]).dataset.sha256 == first
    assert texts(tmp_path, [*ROWS[:-1], {**ROWS[-1], "completion": " x"}]).dataset.sha256 != first
    held_out = [{**row, "split": "test" if at == 2 else "train"} for at, row in enumerate(ROWS)]
    assert texts(tmp_path, held_out).dataset.sha256 != first


@pytest.mark.parametrize("users", [None, 6])
def test_a_tenth_of_the_users_is_held_out_whole_where_that_is_asked_for(tmp_path, users):
    rows = [
        {**row, **({"user_id": f"u{at % users}"} if users else {})}
        for at, row in enumerate(ROWS * 4)
    ]
    rows = [{**row, "sample_id": str(at)} for at, row in enumerate(rows)]
    if users:
        rows += [{"prompt": "?", "completion": "!", "user_id": f"more{at}"} for at in range(4)]
    result = texts(tmp_path, rows, split="users")
    loaded = Dataset.load(tmp_path / "dataset")
    training, held_out = build_samples(loaded), validation_samples(loaded)
    assert held_out is not None
    asked = set(held_out.users.tolist())
    assert len(asked) == loaded.n_users // 10 == result.counts["valid_users"]
    assert not asked & set(training.users.tolist())
    assert len(training) + len(held_out) == len(rows)
    assert f"{len(held_out)} for validation" in " ".join(validation_lines(result.report))
    some = validation_samples(loaded, 1)
    assert some is not None and keys(some, loaded) == keys(held_out, loaded)[:1]


def test_the_files_own_split_is_kept_and_wrong_words_are_counted(tmp_path):
    words = ["train", "Validation", "test", "dev", "later"]
    rows = [{**row, "split": words[at % 5]} for at, row in enumerate(ROWS)]
    result = texts(tmp_path, rows, allowed_rejected=0.3)
    assert [result.counts[name] for name in ("train", "valid", "test")] == [6, 12, 6]
    assert result.counts["samples_given"] == 6
    (reason,) = result.report["samples"]["reasons"]
    assert (reason["reason"], reason["rows"], reason["first"]) == (
        "invalid_split",
        6,
        "texts.jsonl:5:split",
    )
    with pytest.raises(InputError, match="--split users") as refused:
        texts(tmp_path, rows)
    assert refused.value.code == "too_many_rejected"
    unread = texts(tmp_path, rows, split="users")
    assert unread.report["files"][0]["unused"] == ["split"]


def test_rows_that_name_no_user_beside_rows_that_do_are_counted(tmp_path):
    rows = [
        *({**row, "user_id": "u"} for row in ROWS),
        {"prompt": "a", "completion": "b"},
        {"prompt": "a"},
    ]
    counts = texts(tmp_path, rows, allowed_rejected=0.1).report["samples"]
    assert counts["accepted_rows"] == 30
    assert {found["reason"] for found in counts["reasons"]} == {"empty_user_id", "invalid_texts"}


def test_what_texts_cannot_have_is_said(tmp_path):
    (tmp_path / "items.csv").write_text("item_id,title\n1,a\n")
    for code, asked in {
        "no_sample_ids": {"items": tmp_path / "items.csv"},
        "split_not_possible": {"split": "leave_one_out"},
        "no_samples": {"rows": [{**row, "split": "test"} for row in ROWS]},
    }.items():
        with pytest.raises(InputError) as refused:
            texts(tmp_path, **asked)
        assert refused.value.code == code
    with pytest.raises(InputError, match="does not have"):
        texts(tmp_path, split="column")
    (warned,) = texts(tmp_path, user_core=2, min_rating=3).report["warnings"]
    assert "`min_rating`, `user_core`" in warned["message"]


def test_interactions_are_not_split_as_texts_are(tmp_path):
    (tmp_path / "x.csv").write_text("user_id,item_id,timestamp\n1,a,1\n1,b,2\n")
    with pytest.raises(InputError, match="for texts without ids"):
        ingest(
            tmp_path / "x.csv",
            options=DataOptions.parse({"split": "users"}, location="data"),
            out=tmp_path / "out",
        )


def test_ids_of_texts_are_their_lines_where_no_row_has_one(tmp_path):
    rows = [
        {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}
    ] * 3
    dataset = texts(tmp_path, rows).dataset
    samples = build_samples(dataset)
    assert keys(samples, dataset) == ["1", "2", "3"]
    assert np.array_equal(samples.users, [0, 1, 2])


def test_an_append_is_refused_with_the_way_to_read_all_files_together(tmp_path):
    texts(tmp_path)
    more = tmp_path / "more.jsonl"
    more.write_text(json.dumps({"sample_id": "new", "prompt": "New:", "completion": " 1"}) + "\n")
    with pytest.raises(
        InputError, match="from all files instead; `samples` takes several"
    ) as refused:
        append(tmp_path / "dataset", more, out=tmp_path / "grown")
    assert refused.value.code == "append_not_possible"
    folder = tmp_path / "all"
    folder.mkdir()
    both = [one.rename(folder / one.name) for one in (tmp_path / "texts.jsonl", more)]
    for samples in (both, folder):
        grown = ingest(None, samples=samples, options=DataOptions(), out=tmp_path / "grown")
        assert grown.counts["samples_given"] == 31
        shutil.rmtree(tmp_path / "grown")
