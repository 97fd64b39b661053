"""The whole method without a server: one call, and the command that makes it."""

import html
import json
import re
import subprocess
import sys
from importlib.metadata import version

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import dealrec
from dealrec.config import EvaluationConfig, FinetuneConfig
from dealrec.config.runtime import Runtime
from dealrec.config.unread import OptionWarning
from dealrec.data.synthetic import write_sample_data
from dealrec.errors import Cancelled, InputError
from dealrec.pipeline import evaluate
from dealrec.pipeline import finetune as finetune_coreset
from dealrec.progress import SILENT, silent_stages
from dealrec.tracking import TrackingWarning
from tests.dealrec.tracking.events import scalars, texts

SMALL = {"effort": None, "surrogate": {"epochs": 2, "hidden_size": 16}}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_sample_data(folder, users=150, items=60)
    return folder


@pytest.fixture(scope="module")
def result(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("prune") / "out"
    return dealrec.prune(
        data / "interactions.csv", items=data / "items.csv", budget=0.1, out=out, config=SMALL
    )


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "dealrec", *map(str, arguments)], capture_output=True, text=True
    )


def test_it_gives_exactly_the_budget_and_a_report_beside_random(result):
    assert result.to_arrow().num_rows == result.coreset.size == 15
    assert result.to_arrow()["effort"].null_count == 15
    page = (result.folder / "report.html").read_text()
    assert "Compared with a random selection of the same size" in page
    assert page.count("<svg") == 2  # the selector uses no strata, so no chart shows them
    assert "<script" not in page and "http://" not in page.replace("http://www.w3.org", "")
    assert sorted(path.name for path in result.folder.iterdir()) == [
        ".stages.json",
        ".work",
        "config.json",
        "coreset.jsonl",
        "manifest.json",
        "members.parquet",
        "report.html",
        "scores.parquet",
    ]


def test_a_notebook_shows_what_was_chosen(result):
    page = result._repr_html_()
    assert "15" in page and result.coreset.sha256 in page and "thinned_influence" in page
    assert page.count("<tr>") >= 4 + 3
    assert result.coreset.sha256 in result.coreset._repr_html_()


def test_options_without_effect_are_warned_of_before_the_run(data, result):
    config = {**SMALL, "selection": {"method": "random", "strata": 3}}
    with pytest.warns(OptionWarning, match="does not use it") as warned:
        again = dealrec.prune(
            data / "interactions.csv",
            items=data / "items.csv",
            budget=0.1,
            out=result.folder.parent / "random",
            work=result.folder / ".work",
            config=config,
        )
    assert again.warnings == (str(warned[0].message),)
    assert warned[0].filename == __file__
    assert again.warnings[0] in html.unescape(again._repr_html_())


def test_progress_is_drawn_where_somebody_sees_it(data, result, capsys, monkeypatch):
    def again(budget, **options):
        dealrec.prune(
            data / "interactions.csv",
            items=data / "items.csv",
            budget=budget,
            out=result.folder.parent / f"{budget}",
            work=result.folder / ".work",
            config=SMALL,
            **options,
        )
        return capsys.readouterr().err

    assert again(50) == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "select" in again(51)
    assert again(52, stages=silent_stages) == ""


def test_every_sample_has_a_score(result):
    scores = pq.read_table(result.folder / "scores.parquet")
    assert scores.num_rows == 150
    assert scores["influence"].null_count == 0


def test_the_coreset_does_not_depend_on_the_number_of_threads(tmp_path):
    """With version 0.1.0 the scores of this problem differed, and on larger ones the coresets."""
    write_sample_data(tmp_path, users=400, items=200)
    made = [
        dealrec.prune(
            tmp_path / "interactions.csv",
            budget=0.25,
            out=tmp_path / str(threads),
            config={"surrogate": {"epochs": 1}},
            runtime=Runtime(threads=threads, device="cpu"),
        )
        for threads in (1, 2, 3)
    ]
    assert len({one.coreset.sha256 for one in made}) == 1
    scores = [pq.read_table(one.folder / "scores.parquet") for one in made]
    assert scores[0].equals(scores[1]) and scores[0].equals(scores[2])
    for one in made:
        environment = one.coreset.manifest["stages"]["influence"]["environment"]
        assert environment == one.coreset.manifest["stages"]["surrogate"]["environment"]
        assert environment["threads"] == 1
        assert environment["torch"] == version("torch")
        assert environment["processor"] and environment["platform"]


def test_an_arrow_table_gives_the_same_coreset_as_its_file(data, result, tmp_path):
    options = pyarrow.csv.ConvertOptions(column_types={"user_id": "string", "item_id": "string"})
    tables = [
        pyarrow.csv.read_csv(data / name, convert_options=options)
        for name in ("interactions.csv", "items.csv")
    ]
    again = dealrec.prune(tables[0], items=tables[1], budget=15, out=tmp_path / "o", config=SMALL)
    assert again.coreset.sha256 == result.coreset.sha256


def test_the_command_gives_the_same_coreset_and_its_configuration_replays(data, result, tmp_path):
    arguments = [data / "interactions.csv", "--items", data / "items.csv", "--budget", "0.1"]
    sets = ["--set", "effort=null", "--set", "surrogate.epochs=2", "--set=surrogate.hidden_size=16"]
    first = run("prune", *arguments, *sets, "--json", "--out", tmp_path / "a")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["sha256"] == result.coreset.sha256
    config = tmp_path / "a" / "config.json"
    second = run("prune", *arguments, "--config", config, "--out", tmp_path / "b")
    assert second.returncode == 0, second.stderr
    assert result.coreset.sha256 in second.stdout
    assert "rows accepted, 0 rejected" in second.stdout
    assert "surrogate: 2 of 2 epochs" in second.stderr
    lines = (tmp_path / "b" / "coreset.jsonl").read_text().splitlines()
    assert len({json.loads(line)["sample_key"] for line in lines}) == 15
    assert (tmp_path / "a" / "coreset.jsonl").read_text().splitlines() == lines


def test_what_was_rejected_is_said_on_every_surface(data, tmp_path):
    rows = (data / "interactions.csv").read_text().splitlines()
    rows[2::2] = [row.rsplit(",", 1)[0] + ",soon" for row in rows[2::2]]
    (tmp_path / "log.csv").write_text("\n".join(rows))
    sets = ["--set", "effort=null", "--set", "surrogate.epochs=1", "--set=surrogate.hidden_size=16"]
    arguments = [tmp_path / "log.csv", "--budget", "9", *sets, "--out", tmp_path / "a"]
    refused = run("prune", *arguments)
    assert refused.returncode == 2
    assert "(50.0%) cannot be used" in refused.stderr
    assert "`--allow-rejected 0.5" in refused.stderr
    assert not (tmp_path / "a").exists()
    arguments += ["--allow-rejected", "0.51", "--set", "data.repeats=last"]
    ended = run("prune", *arguments)
    assert ended.returncode == 0, ended.stderr
    assert "repeats: 0 interactions other than the last one" in ended.stdout
    kept = json.loads((tmp_path / "a" / "config.json").read_text())["data"]
    assert kept == {"allowed_rejected": 0.51, "repeats": "last"}
    lines = ended.stdout.splitlines()
    lines = lines[next(at for at, line in enumerate(lines) if line.startswith("interactions:")) :]
    assert re.fullmatch(r"interactions: [\d,]+ rows accepted, [\d,]+ rejected \(50.0%\)", lines[0])
    assert "invalid_timestamp" in lines[1]
    assert "The first is log.csv:3:timestamp." in lines[1]
    assert any(line.startswith("warning: ") for line in lines)
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert manifest["validation"]["reasons"][0]["reason"] == "invalid_timestamp"
    page = (tmp_path / "a" / "report.html").read_text()
    assert lines[0] in page
    told = json.loads(run("prune", *arguments, "--json").stdout)
    assert told["report"]["reasons"] == manifest["validation"]["reasons"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--budget", "0"], "invalid_budget"),
        (["--budget", "151", "--set", "effort=null"], "budget_too_large"),
        (["--budget", "5", "--set", "effort.model=gpt-9"], "unknown_model"),
        (["--budget", "5", "--set", "selection.stratas=3"], "invalid_config"),
        (["--budget", "5", "--set", "effort.adapter=/nowhere"], "invalid_config"),
        (
            ["--budget=5", "--set=effort.adapter=/nowhere", "--set=effort.parameters=lora"],
            "adapter_not_usable",
        ),
        (["--budget", "5", "--column", "item_id=product"], "missing_column"),
    ],
)
def test_bad_input_ends_with_status_2_its_code_and_nothing_left(data, tmp_path, arguments, code):
    out = tmp_path / "out"
    ended = run("prune", data / "interactions.csv", *arguments, "--json", "--out", out)
    assert ended.returncode == 2, ended.stderr
    assert json.loads(ended.stdout)["code"] == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["prune", "nowhere.csv", "--budget=5", "--out=out"],
        ["prune", "log.csv", "--items=nowhere.csv", "--budget=5", "--out=out", "--set=effort=null"],
        ["compare", "nowhere.csv", "--budget=5", "--out=out"],
        ["fidelity", "nowhere.csv", "--out=out"],
    ],
)
def test_a_path_that_is_no_file_ends_in_a_sentence(tmp_path, arguments):
    (tmp_path / "log.csv").write_text("user_id,item_id,position\nu,a,1\nu,b,2\n")
    command = [sys.executable, "-m", "dealrec", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 2
    assert "A file cannot be read" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_errors_are_found_before_the_libraries_that_take_seconds_are_loaded():
    code = "import dealrec.pipeline, sys; print({'torch', 'transformers'} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_an_error_in_a_file_is_said_once(tmp_path):
    (tmp_path / "log.csv").write_text('user_id,item_id,position\nu,a,1\nu,"b,2\n')
    ended = run("prune", tmp_path / "log.csv", "--budget=5", "--set=effort=null", "--out=out")
    assert ended.returncode == 2
    assert ended.stderr.count("log.csv:3: A quote opens a cell in this line") == 1


def test_a_failure_leaves_an_existing_folder_as_it_was(data, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    with pytest.raises(InputError):
        dealrec.prune(data / "interactions.csv", budget=10**6, out=out, config=SMALL)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model

    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_model().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return str(folder)


def test_effort_of_candidates_alone_is_measured_selected_from_and_told(
    data, language_model, tmp_path
):
    def pruned(candidates):
        out = tmp_path / str(candidates)
        config = SMALL | {
            "effort": {"model": language_model, "candidates": candidates},
            "selection": {"method": "dealrec"},
        }
        return dealrec.prune(data / "interactions.csv", budget=15, out=out, config=config)

    few, many, full = pruned(2), pruned(1000), pruned(None)
    scores = pq.read_table(few.folder / "scores.parquet")
    assert scores["effort"].null_count == 120
    assert scores.filter(scores["selected"])["effort"].null_count == 0
    told = json.loads((few.folder / "manifest.json").read_text())["stages"]["effort"]
    assert (told["candidates"], told["samples"], told["samples_without_effort"]) == (2, 30, 120)
    assert "Influence against effort" in (few.folder / "report.html").read_text()
    assert many.coreset.sha256 == full.coreset.sha256 != few.coreset.sha256


class Begun:
    """Notes which stages are run, and stops one of them."""

    def __init__(self, stop=None):
        self.names, self.stop = [], stop

    def __call__(self, stage):
        self.names.append(stage.value)
        if stage.value == self.stop:
            raise Cancelled("stopped")
        return SILENT


def test_another_budget_from_the_same_folder_runs_the_selection_alone(data, result, tmp_path):
    begun = Begun()
    arguments = {"items": data / "items.csv", "config": SMALL, "stages": begun}
    smaller = dealrec.prune(
        data / "interactions.csv", budget=5, out=result.folder, work=tmp_path / "work", **arguments
    )
    assert begun.names == ["ingest", "surrogate", "influence", "select"]
    begun.names.clear()
    again = dealrec.prune(
        data / "interactions.csv", budget=15, out=tmp_path, work=tmp_path / "work", **arguments
    )
    assert begun.names == ["select"]
    assert (smaller.coreset.size, again.coreset.sha256) == (5, result.coreset.sha256)


def test_what_was_finished_is_kept_where_a_later_stage_stops(data, result, tmp_path):
    begun = Begun(stop="select")
    arguments = {"items": data / "items.csv", "budget": 15, "config": SMALL, "out": tmp_path / "o"}
    with pytest.raises(Cancelled):
        dealrec.prune(data / "interactions.csv", stages=begun, **arguments)
    going_on = Begun()
    again = dealrec.prune(data / "interactions.csv", stages=going_on, **arguments)
    assert going_on.names == ["select"]
    assert again.coreset.sha256 == result.coreset.sha256


def test_it_trains_and_measures_where_the_configuration_says_so(data, language_model, tmp_path):
    short = {"prompt": {"history_items": 2}}
    finetune = {"model": language_model, "epochs": 1}
    evaluation = {"users": 10, "ranking_users": 4, "beams": 2, "max_title_tokens": 4}
    begun = Begun()
    result = dealrec.prune(
        data / "interactions.csv",
        items=data / "items.csv",
        budget=8,
        out=tmp_path / "out",
        config=SMALL | short | {"finetune": finetune, "evaluation": evaluation},
        track=f"tensorboard:{tmp_path / 'runs'}",
        stages=begun,
    )
    (recorded,) = (tmp_path / "runs").iterdir()
    curves = scalars(recorded)
    assert [step for step, _ in curves["surrogate/loss"]] == [1, 2]
    assert curves["finetune/train_loss"] and curves["evaluate/nll"]
    assert result.coreset.sha256 in texts(recorded)
    assert begun.names[-2:] == ["finetune", "evaluate"]
    assert result.adapter and result.evaluation
    assert (result.adapter / "adapter_model.safetensors").is_file()
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == result.evaluation
    assert result.evaluation["users"] == 10 and result.evaluation["metrics"]["nll"] > 0

    measured = evaluate(
        tmp_path / "out",
        data / "interactions.csv",
        items=data / "items.csv",
        finetune=FinetuneConfig(**finetune),
        config=EvaluationConfig(**evaluation),
    )
    assert measured == result.evaluation
    with pytest.raises(InputError) as caught:
        evaluate(
            tmp_path / "out",
            data / "interactions.csv",
            finetune=FinetuneConfig(**finetune),
            config=EvaluationConfig(split="valid"),
        )
    assert caught.value.code == "answers_aimed_at"
    (tmp_path / "file").touch()
    with pytest.warns(TrackingWarning, match="tensorboard tracker got no record"):
        metrics = finetune_coreset(
            tmp_path / "out",
            config=FinetuneConfig(**finetune),
            out=tmp_path / "adapter",
            track=f"tensorboard:{tmp_path / 'file'}",
        )
    assert metrics["samples"] == 8
    weights = "adapter_model.safetensors"
    trained = (tmp_path / "adapter" / weights).read_bytes()
    assert trained == (result.adapter / weights).read_bytes()
    assert not (tmp_path / "adapter" / ".work").exists()
