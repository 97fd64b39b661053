"""Texts without ids from the first stage to the last: coreset, adapter, exports."""

import json

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import dealrec
from dealrec.config.runtime import Runtime
from dealrec.errors import InputError
from dealrec.progress import silent_stages
from tests.dealrec.language_models.qwen import qwen_folder
from tests.dealrec.test_cli import APPLICATION

ROWS = [
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"What follows {at} and {at * 3}?"},
            {"role": "assistant", "content": "ab" * (1 + at % 5)},
        ]
    }
    for at in range(30)
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with ``texts.jsonl`` and a tiny model with a chat template."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    qwen_folder(folder / "model")
    return folder


def pruned(home, out, **config):
    model = {"model": str(home / "model"), "max_tokens": 256}
    models = {
        name: {**model, **config.pop(name, {})}
        for name in ("effort", "embedding", "gradients", "ifd")
    }
    return dealrec.prune(
        samples=home / "texts.jsonl",
        budget=6,
        out=home / out,
        work=home / "work",
        split="users",
        config={**models, **config},
        runtime=Runtime(threads=1, device="cpu"),
        stages=silent_stages,
    )


@pytest.fixture(scope="module")
def result(home):
    training = {
        "model": str(home / "model"),
        "epochs": 1,
        "max_tokens": 256,
        "validation": {"samples": 2},
    }
    return pruned(home, "out", finetune=training)


def test_a_coreset_is_drawn_over_effort_and_says_what_the_data_are(result):
    table = result.to_arrow()
    assert table.num_rows == 6 and table["effort"].null_count == 0
    assert table["influence"].null_count == table["target"].null_count == 6
    assert {row["text"]["earlier"][0]["content"] for row in table.to_pylist()} == {"Be brief."}
    assert set(result.coreset.manifest["stages"]) == {"effort"}
    assert result.coreset.manifest["control"]["mean_influence"] is None
    page = (result.folder / "report.html").read_text()
    assert "without ids of items" in page and "Distribution of effort" in page
    assert "Distribution of influence" not in page and "mean influence" not in page
    assert pq.read_table(result.folder / "scores.parquet").num_rows == 27
    assert "0 items" not in result._repr_html_()


def test_the_adapter_is_trained_with_held_out_texts_and_the_turns_are_exported(result, home):
    assert result.adapter is not None
    card = (result.adapter / "README.md").read_text()
    assert "validation" in card
    lines = (
        dealrec.export(result.folder, format="messages", out=home / "messages").folder
        / "train.jsonl"
    )
    exported = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(exported) == 6 and all(row in ROWS for row in exported)


@pytest.mark.parametrize("method", ["k_center", "gradient_match", "ifd"])
def test_selectors_of_each_kind_select_from_texts(home, method):
    made = pruned(home, method, selection={"method": method})
    assert made.coreset.size == 6
    assert made.config.selection.method == method


def test_a_selector_that_needs_the_surrogate_is_refused_before_anything_runs(home):
    with pytest.raises(InputError, match="These selectors work: ") as refused:
        pruned(home, "refused", selection={"method": "influence"})
    assert refused.value.code == "no_sample_ids"
    assert not (home / "refused").exists()


def test_the_command_line_selects_and_says_which_selectors_work(home, monkeypatch):
    monkeypatch.chdir(home)

    def run(*arguments):
        return CliRunner().invoke(APPLICATION, list(arguments), prog_name="dealrec")

    prune = ("prune", "--samples", "texts.jsonl", "--budget", "4")
    refused = run(*prune, "--set", "selection.method=dealrec", "--out", "x")
    assert "These selectors work" in (refused.output + str(refused.exception)), refused.output
    assert "texts without ids, 30 users" in run("inspect", "--samples", "texts.jsonl").stdout
    taken = run(*prune, "--set", "effort=null", "--out", "y", "--json")
    assert taken.exit_code == 0, taken.output
    assert json.loads(taken.stdout)["size"] == 4
