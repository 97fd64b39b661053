"""A coreset on disk, and every format that it is taken away in."""

import csv
import hashlib
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dealrec.config import PruneConfig, Sampling
from dealrec.coresets.formats import CoresetFormat, write_format
from dealrec.coresets.members import read_examples, read_members, text_columns
from dealrec.coresets.writer import read_scores, write_coreset
from dealrec.data.ingest import ingest
from dealrec.data.prompts import Message, PromptedSample, Role
from dealrec.data.samples import build_samples
from dealrec.data.synthetic import write_sample_data
from dealrec.errors import InputError
from dealrec.selection.interface import Scores
from dealrec.selection.select import select

BUDGET = 25


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coreset")
    write_sample_data(folder / "data", users=120, items=60)
    ingested = ingest(
        folder / "data" / "interactions.csv",
        items=folder / "data" / "items.csv",
        out=folder / "dataset",
    )
    config = PruneConfig.parse(
        {
            "effort": None,
            "sampling": "per_interaction",
            "selection": {"method": "influence_strata"},
        }
    )
    samples = build_samples(ingested.dataset, Sampling.PER_INTERACTION)
    # Scores that need no model: how recent and how rare the target is.
    influence = samples.positions + samples.targets / 100
    scores = Scores(samples.keys(ingested.dataset), influence.astype(float), None)
    coreset = write_coreset(
        ingested.dataset,
        samples,
        scores,
        select(scores, BUDGET, config.selection),
        config=config,
        budget_requested=BUDGET,
        facts={},
        out=folder / "coreset",
    )
    return folder / "coreset", coreset, ingested.dataset, scores


def written(folder, kind):
    buffer = io.BytesIO()
    write_format(folder / "members.parquet", kind, buffer)
    return buffer.getvalue()


def test_members_tell_the_history_and_target_of_their_key(made):
    folder, _, dataset, _ = made
    users = dataset.user_ids.to_pylist()
    for row in pq.read_table(folder / "members.parquet").to_pylist():
        user_id, position = row["sample_key"].rsplit(":", 1)
        user = users.index(user_id)
        first = dataset.offsets[user]
        sequence = dataset.items[first : first + int(position) + 1]
        ids = dataset.item_ids.take(sequence).to_pylist()
        assert (row["user_id"], row["history"], row["target"]) == (user_id, ids[:-1], ids[-1])


def test_the_hash_is_of_the_keys(made):
    folder, coreset, _, _ = made
    keys = pq.read_table(folder / "members.parquet")["sample_key"].to_pylist()
    lines = b"".join(sorted(json.dumps(key).encode() + b"\n" for key in keys))
    assert coreset.sha256 == hashlib.sha256(lines).hexdigest()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["sha256"] == coreset.sha256
    assert manifest["size"] == BUDGET == len(set(keys))


def test_coverage_counts_distinct_users_and_items(made):
    folder, coreset, _, _ = made
    rows = pq.read_table(folder / "members.parquet").to_pylist()
    assert coreset.coverage["users"] == len({row["user_id"] for row in rows})
    items = {item for row in rows for item in [*row["history"], row["target"]]}
    assert coreset.coverage["items"] == len(items)
    assert sum(stratum["selected"] for stratum in coreset.coverage["strata"]) == BUDGET


def test_scores_come_back_as_they_were(made):
    folder, _, dataset, scores = made
    samples = build_samples(dataset, Sampling.PER_INTERACTION)
    again = read_scores(folder / "scores.parquet", samples)
    assert again.targets is not None
    assert (again.targets == samples.targets).all()
    assert again.keys.equals(scores.keys)
    assert (again.influence == scores.influence).all()
    assert again.effort is None
    marked = pq.read_table(folder / "scores.parquet")["selected"].to_numpy()
    assert marked.sum() == BUDGET


def test_every_format_says_the_same(made):
    folder = made[0]
    rows = pq.read_table(folder / "members.parquet").to_pylist()
    assert [json.loads(line) for line in written(folder, CoresetFormat.JSONL).splitlines()] == rows
    alpaca = json.loads(written(folder, CoresetFormat.ALPACA))
    texts = ("instruction", "input", "output")
    assert alpaca == [{name: row[name] for name in texts} for row in rows]
    table = list(csv.DictReader(io.StringIO(written(folder, CoresetFormat.CSV).decode())))
    assert [json.loads(row["history"]) for row in table] == [row["history"] for row in rows]
    assert [row["output"] for row in table] == [row["output"] for row in rows]
    assert [float(row["influence"]) for row in table] == [row["influence"] for row in rows]
    parquet = written(folder, CoresetFormat.PARQUET)
    assert pq.read_table(io.BytesIO(parquet)).to_pylist() == rows


def test_the_examples_of_a_json_lines_file_are_those_of_the_members(made, tmp_path):
    folder = made[0]
    path = tmp_path / "coreset.jsonl"
    path.write_bytes(written(folder, CoresetFormat.JSONL))
    assert read_examples(path) == read_members(folder / "members.parquet")


def test_words_of_a_template_come_back_from_json_lines_and_from_the_members(tmp_path):
    system = Message(Role.SYSTEM, "You know films.")
    samples = [PromptedSample("Seen: ", name, "\nNow?", "Dune", " ", (system,)) for name in "AB"]
    table = pa.table(text_columns(samples))
    pq.write_table(table, tmp_path / "members.parquet")
    rows = "".join(json.dumps(row) + "\n" for row in table.to_pylist())
    (tmp_path / "coreset.jsonl").write_text(rows)
    assert read_members(tmp_path / "members.parquet") == samples
    assert read_examples(tmp_path / "coreset.jsonl") == samples
    (tmp_path / "coreset.jsonl").write_text('{"text": {"before": "a"}}')
    with pytest.raises(InputError, match="Line 1"):
        read_examples(tmp_path / "coreset.jsonl")


SAMPLES = [{"instruction": "do", "input": "this", "output": "that"}] * 2


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(SAMPLES, indent=4),
        "\ufeff" + "\r\n".join(json.dumps(sample) for sample in SAMPLES),
    ],
    ids=["array", "mark and line ends of Windows"],
)
def test_arrays_and_files_of_windows_are_read(tmp_path, text):
    path = tmp_path / "samples.json"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_examples(path) == [PromptedSample.plain("do", "this", "that")] * 2


@pytest.mark.parametrize("given", [{}, {"input": None}, {"input": ""}])
def test_an_input_may_be_missing(tmp_path, given):
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps({"instruction": "do", "output": "that", **given}))
    assert [example.input for example in read_examples(path)] == [""]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "i"}, {"role": "assistant", "content": "b"}]},
        {"conversations": [{"from": "human", "value": "i"}, {"from": "gpt", "value": "b"}]},
        {"prompt": "i", "completion": "b"},
    ],
    ids=["messages", "sharegpt", "pair"],
)
def test_examples_are_read_in_the_shapes_of_trainers(tmp_path, row):
    path = tmp_path / "examples.jsonl"
    path.write_text(json.dumps(row))
    assert [(each.prompt, each.output) for each in read_examples(path)] == [("i", "b")]


def test_samples_without_an_answer_are_refused_and_counted(tmp_path):
    path = tmp_path / "samples.jsonl"
    rows = [*SAMPLES, *[{**SAMPLES[0], "output": text} for text in ("", " \n")], *SAMPLES]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(InputError, match=r"2 of the 6 samples.*The first is line 3") as refused:
        read_examples(path)
    assert refused.value.code == "empty_answers"


def test_other_fields_are_named(tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text('{"question": "i", "answer": "b"}')
    with pytest.raises(InputError, match="It has the fields question, answer"):
        read_examples(path)


@pytest.mark.parametrize("line", ["not json", "[1]", '{"instruction": "a"}', '{"instruction": 1}'])
def test_a_line_that_is_no_sample_is_named(tmp_path, line):
    path = tmp_path / "broken.jsonl"
    good = json.dumps({"instruction": "a", "input": "b", "output": "c"})
    path.write_text(f"{good}\n{line}\n")
    with pytest.raises(InputError, match="Line 2") as caught:
        read_examples(path)
    assert caught.value.code == "invalid_coreset"
