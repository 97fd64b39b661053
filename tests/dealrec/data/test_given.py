"""Samples that people bring: read in every shape, checked row by row, and used with their own texts."""

import csv
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dealrec.config import DataOptions, PromptConfig, PruneConfig, Sampling
from dealrec.data.dataset import Dataset
from dealrec.data.findings import validation_lines
from dealrec.data.ingest import ingest
from dealrec.data.prompter import Prompter
from dealrec.data.samples import build_samples
from dealrec.errors import InputError
from dealrec.pipeline import prune

INTERACTIONS = "user_id,item_id,timestamp\n" + "".join(
    f"{user},{item},{at}\n" for user in "uvw" for at, item in enumerate("abcdef")
)
TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "After A and B?"},
    {"role": "assistant", "content": "C"},
]
GOOD: list[dict[str, Any]] = [
    {"sample_id": "s3", "user_id": "u", "history": ["a", "b"], "target": "c", "messages": TURNS},
    {"sample_id": "s1", "user_id": "v", "history": ["b"], "target": "d", "prompt": "B:", "completion": " D"},
    {"sample_id": "s2", "user_id": "w", "history": ["c", "e"], "target": "f",
     "instruction": "Go on.", "input": "C, E", "output": "F"},
]  # fmt: skip
SHAREGPT = [
    {"from": "system", "value": "Be brief."},
    {"from": "human", "value": "After A and B?"},
    {"from": "gpt", "value": "C"},
]


def given(folder, rows, *, name="samples.jsonl", interactions=INTERACTIONS, **options):
    """Ingest interactions with samples; ``rows`` are objects, or the bytes of a file."""
    samples = folder / name
    lines = "".join(json.dumps(row) + "\n" for row in rows) if isinstance(rows, list) else rows
    samples.write_bytes(lines.encode() if isinstance(lines, str) else lines)
    if interactions is not None:
        (folder / "interactions.csv").write_text(interactions)
    return ingest(
        None if interactions is None else folder / "interactions.csv",
        samples=samples,
        options=DataOptions.parse({"split": "leave_one_out", **options}, location="data"),
        out=folder / "dataset",
    )


def texts(dataset) -> dict[str, tuple[str, str]]:
    samples = build_samples(dataset)
    prompter = Prompter(dataset, samples, PromptConfig())
    prompted = [prompter.prompt(index) for index in range(len(samples))]
    keys = samples.keys(dataset).to_pylist()
    return {key: (each.prompt, each.completion) for key, each in zip(keys, prompted, strict=True)}


def test_texts_stand_as_they_are_and_ids_say_history_and_target(tmp_path):
    result = given(tmp_path, GOOD)
    loaded = Dataset.load(tmp_path / "dataset")
    assert texts(loaded) == {
        "s1": ("B:", " D"),
        "s2": ("Go on.\nC, E\nNext:", " F"),
        "s3": ("Be brief.\n\nAfter A and B?", "\n\nC"),
    }
    samples = build_samples(loaded)
    ids = loaded.item_ids.to_pylist()
    named = [
        ([ids[item] for item in samples.history(at)], ids[samples.targets[at]]) for at in range(3)
    ]
    assert named == [(["b"], "d"), (["c", "e"], "f"), (["a", "b"], "c")]
    assert [loaded.user_ids[int(user)].as_py() for user in samples.users] == ["v", "w", "u"]
    assert result.counts["samples_given"] == 3
    assert any(line.startswith("samples: 3 rows") for line in validation_lines(result.report))
    assert len(build_samples(loaded, Sampling.PER_USER)) == 3


def as_csv(rows) -> bytes:
    sink = io.StringIO()
    writer = csv.DictWriter(
        sink, ["sample_id", "user_id", "history", "target", "prompt", "completion"]
    )
    writer.writeheader()
    writer.writerows({**row, "history": json.dumps(row["history"])} for row in rows)
    return sink.getvalue().encode()


def as_parquet(rows) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


PAIRS: list[dict[str, Any]] = [
    {"sample_id": str(at), "user_id": "u", "history": ["a", "b"], "target": "c", "prompt": f"{at}?",
     "completion": "yes"}
    for at in range(3)
]  # fmt: skip
FILES = {
    "lines.jsonl": "\n".join(map(json.dumps, reversed(PAIRS))).encode(),
    "array.json": ("\ufeff" + json.dumps(PAIRS, indent=2)).encode(),
    "cells.csv": as_csv(PAIRS),
    "pipes.csv": as_csv(PAIRS).replace(b'"[""a"", ""b""]"', b"a|b"),
    "python.csv": as_csv(PAIRS).replace(b'"[""a"", ""b""]"', b"\"['a', 'b']\""),
    "rows.parquet": as_parquet(PAIRS),
}


def test_one_content_is_one_data_set_in_every_format_and_order(tmp_path):
    hashes = {
        name: given(tmp_path, content, name=name).dataset.sha256 for name, content in FILES.items()
    }
    assert len(set(hashes.values())) == 1, hashes
    other = [{**PAIRS[0], "completion": "no"}, *PAIRS[1:]]
    assert given(tmp_path, other).dataset.sha256 not in hashes.values()


@pytest.mark.parametrize(
    "shape",
    [
        {"messages": TURNS},
        {"conversations": SHAREGPT},
        {"prompt": TURNS[:2], "completion": TURNS[2:]},
    ],
    ids=["messages", "sharegpt", "conversational"],
)
def test_conversations_are_read_in_every_shape(tmp_path, shape):
    row = {"sample_id": "x", "user_id": "u", "history": ["a"], "target": "b", **shape}
    assert texts(given(tmp_path, [row]).dataset) == {"x": ("Be brief.\n\nAfter A and B?", "\n\nC")}


@pytest.mark.parametrize("shape", [{"messages": TURNS}, {"prompt": "B:", "completion": " C"}])
def test_texts_without_ids_beside_interactions_are_refused_with_what_helps(tmp_path, shape):
    with pytest.raises(InputError, match="Leave the interactions out") as refused:
        given(tmp_path, [shape] * 3)
    assert refused.value.code == "no_sample_ids"
    assert [error.location for error in refused.value.errors] == ["history", "target"]


BAD: dict[str, dict[str, Any] | None] = {
    "invalid_texts": {"messages": TURNS[:2]},
    "empty_answer": {"messages": None, "prompt": "B:", "completion": " "},
    "empty_user_id": {"user_id": ""},
    "duplicate_sample_id": {"sample_id": "s1"},
    "no_item_ids": {"history": []},
    "unknown_user": {"user_id": "x"},
    "unknown_item": {"history": ["z"]},
    "invalid_json": None,
}


def test_rows_that_cannot_be_used_are_counted_with_their_reasons(tmp_path):
    bad = [
        row and {**GOOD[0], "sample_id": f"bad{at}", **row} for at, row in enumerate(BAD.values())
    ]
    result = given(tmp_path, [*GOOD, *bad], allowed_rejected=0.9)
    counts = result.report["samples"]
    assert (counts["accepted_rows"], counts["rejected_rows"]) == (3, len(BAD))
    assert {found["reason"]: found["rows"] for found in counts["reasons"]} == dict.fromkeys(BAD, 1)
    (place,) = [r["first"] for r in counts["reasons"] if r["reason"] == "unknown_user"]
    assert place == "samples.jsonl:9:user_id"
    with pytest.raises(InputError) as refused:
        given(tmp_path, [*GOOD, *bad])
    assert refused.value.code == "too_many_rejected"


def test_samples_alone_are_their_own_interactions_all_of_them_for_training(tmp_path):
    rows = [*GOOD, {**GOOD[0], "sample_id": "s4", "history": ["a", "b", "c"], "target": "g"}]
    dataset = given(tmp_path, rows, interactions=None).dataset
    names = dataset.item_ids.to_pylist()
    first, last = dataset.offsets[dataset.user_ids.to_pylist().index("u")] + np.array([0, 4])
    assert [names[item] for item in dataset.items[first:last]] == ["a", "b", "c", "g"]
    assert not dataset.splits.any()
    assert texts(dataset)["s4"] == texts(dataset)["s3"]


def test_samples_without_ids_are_refused_with_the_reason(tmp_path):
    with pytest.raises(InputError, match="The surrogate and influence need both") as refused:
        given(tmp_path, [{"user_id": "u", "history": [], "messages": TURNS}])
    assert refused.value.code == "no_item_ids"
    rows = [{"user_id": "u", "messages": TURNS}, {"messages": TURNS}, *GOOD]
    counts = given(tmp_path, rows, interactions=None, allowed_rejected=0.5).report["samples"]
    assert counts["accepted_rows"] == 3
    reasons = {found["reason"]: found["first"] for found in counts["reasons"]}
    assert reasons == {
        "no_item_ids": "samples.jsonl:1:history",
        "empty_user_id": "samples.jsonl:2:user_id",
    }


def test_a_coreset_of_given_samples_has_their_keys_and_texts(tmp_path):
    rows: list[dict[str, Any]] = [
        {"sample_id": f"k{at}", "user_id": f"u{at % 7}", "prompt": f"Row {at}", "completion": f" {at}",
         "history": [f"i{(at + step) % 9}" for step in range(3)], "target": f"i{(at * 2) % 9}"}
        for at in range(20)
    ]  # fmt: skip
    (tmp_path / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = prune(
        samples=tmp_path / "samples.jsonl",
        budget=6,
        out=tmp_path / "out",
        config={"surrogate": {"epochs": 1}, "selection": {"method": "influence"}},
    )
    assert result.config.sampling is Sampling.GIVEN
    by_key = {row["sample_id"]: row for row in rows}
    for row in result.to_arrow().to_pylist():
        mine = by_key[row["sample_key"]]
        parts = row["text"]
        assert parts["before"] + parts["history"] + parts["after"] == mine["prompt"]
        assert (row["output"], row["target"]) == (mine["completion"].strip(), mine["target"])
        assert row["history"] == mine["history"]


def test_asking_for_samples_that_did_not_come_is_refused(tmp_path):
    (tmp_path / "interactions.csv").write_text(INTERACTIONS)
    config = PruneConfig.parse({"sampling": "given", "effort": None})
    with pytest.raises(InputError) as refused:
        prune(tmp_path / "interactions.csv", budget=1, out=tmp_path / "out", config=config)
    assert refused.value.code == "no_given_samples"
