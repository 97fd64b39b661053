"""A whole comparison on a tiny language model leaves its files, and goes on where it was stopped."""

import json
import re
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dealrec.comparison.results import ComparisonReport
from dealrec.config.compared import EXCHANGED
from dealrec.config.comparison import CONTROLS
from dealrec.data.synthetic import write_sample_data
from dealrec.errors import Cancelled, InputError
from dealrec.pipeline import compare
from dealrec.progress import SILENT, Silent
from dealrec.recommenders import grounding
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model

STAGES_BEFORE = {
    "surrogate": {"epochs": 1, "hidden_size": 8},
    "effort": None,
    "prompt": {"history_items": 2},  # a byte is a token: short prompts take a third of the time
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_sample_data(folder, users=60, items=30)
    tiny_model().save_pretrained(folder / "model")
    byte_tokenizer().save_pretrained(folder / "model")
    return folder


def _config(data, **changes):
    finetune = {
        "model": str(data / "model"),
        "epochs": 2,
        "learning_rate": 0.01,
        "lora": {"last_layers": 1},
    }
    evaluation = {
        "users": 10,
        "candidates": 3,
        "ranking_users": 3,
        "beams": 1,
        "max_title_tokens": 2,
    }
    config = {**STAGES_BEFORE, "finetune": finetune, "evaluation": evaluation}
    asked = {
        "budgets": [4, 0.25],
        "selectors": ["influence"],
        "seeds": 2,
        "despite_no_headroom": True,
        "config": config,
    }
    return {**asked, **changes}


def _compare(data, out, reporter=None, **changes):
    stages: dict[str, Any] = {} if reporter is None else {"stages": lambda _stage: reporter}
    return compare(
        data / "interactions.csv",
        items=data / "items.csv",
        config=_config(data, **changes),
        out=out,
        **stages,
    )


@pytest.fixture(scope="module")
def result(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("comparison") / "out"
    return out, _compare(data, out)


def test_every_selector_is_trained_at_every_budget_and_random_is_always_among_them(result):
    _, report = result
    made = [(row.selector, row.budget, row.runs) for row in report.table]
    assert sorted(made) == sorted(
        [
            *[(name, budget, 2) for name in ("influence", *CONTROLS) for budget in (4, 15)],
            ("all data", 60, 1),
            (EXCHANGED, 15, 2),
        ]
    )
    assert len(report.runs) == 2 * 2 * (len(CONTROLS) + 1) + 3
    seeds = {(run.selection_seed, run.training_seed) for run in report.runs}
    assert seeds == {(0, 0), (1, 1)}
    hashes = {run.coreset_sha256 for run in report.runs if run.selector == "random"}
    assert len(hashes) == 4  # every run draws anew


def test_the_figures_are_those_of_the_users(result):
    out, report = result
    users = pq.read_table(out / "users.parquet")
    for row in report.table:
        for metric, figure in row.metrics.items():
            asked = {"selector": row.selector, "budget": row.budget, "metric": metric}
            taken = [pc.equal(users[name], value) for name, value in asked.items()]
            values = users.filter(pc.and_(pc.and_(taken[0], taken[1]), taken[2]))["value"]
            assert figure.mean == pytest.approx(pc.mean(values).as_py())
            assert figure.low <= figure.mean <= figure.high
    assert {"nll", "preference", "recall@10", "ndcg@10"} <= set(report.table[0].metrics)
    assert report.untrained["nll"] > report.table[0].metrics["nll"].mean  # training helps
    compared = {(row.selector, row.against, row.budget) for row in report.differences}
    assert ("influence", "random", 4) in compared
    assert ("influence", "stratified_random", 15) in compared


def test_the_ledger_counts_what_a_selector_needs_and_no_more(result):
    _, report = result
    costs = {(cost.selector, cost.budget): cost for cost in report.costs}
    assert costs["random", 4].stages == {}
    assert set(costs["influence", 4].stages) == {"surrogate", "influence"}
    assert report.full_cost.measured
    for cost in report.costs:
        parts = sum(cost.stages.values()) + cost.select + cost.trunk + cost.finetune
        assert cost.total == pytest.approx(parts)
        assert cost.saved == pytest.approx(1 - parts / report.full_cost.total)
    assert costs["random", 15].trunk > costs["random", 4].trunk > 0


def test_it_leaves_a_page_and_its_json_and_nothing_else(result):
    out, report = result
    assert sorted(path.name for path in out.iterdir()) == [
        ".work",
        "report.html",
        "report.json",
        "users.parquet",
    ]
    assert ComparisonReport.model_validate_json((out / "report.json").read_text()) == report
    assert report.verdict in json.loads((out / "report.json").read_text())["verdict"]


class _Stopping(Silent):
    """Cancels after a number of steps."""

    def __init__(self, after):
        self.after, self.steps = after, []

    def progress(self, done, total, unit):
        if unit == "step":
            self.steps.append((done, total))
            if self.after is not None and done >= self.after:
                raise Cancelled("stopped")


def test_the_report_says_what_was_read(result):
    out, report = result
    found = [
        re.match(r"interactions: [\d,]+ rows accepted, 0 rejected", line)
        for line in report.validation
    ]
    assert any(found)
    page = (out / "report.html").read_text()
    assert all(line in page for line in report.validation)


def test_a_stopped_comparison_goes_on_with_the_run_it_was_in(data, result, tmp_path, monkeypatch):
    """The vectors of the catalogue, which it kept, are not made again."""
    _, whole = result
    with pytest.raises(Cancelled):
        _compare(data, tmp_path / "out", _Stopping(after=19))

    def never(*_args, **_options):
        raise AssertionError("the vectors of the catalogue were made again")

    monkeypatch.setattr(grounding, "text_vectors", never)
    going_on = _Stopping(after=None)
    again = _compare(data, tmp_path / "out", going_on)
    assert going_on.steps[0][0] > 15  # not from the training on all data
    assert going_on.steps[-1][0] == going_on.steps[-1][1]
    for first, second in zip(whole.runs, again.runs, strict=True):
        assert first.coreset_sha256 == second.coreset_sha256
        assert first.metrics == second.metrics


def test_a_training_on_all_data_that_teaches_nothing_ends_the_comparison(data, tmp_path):
    """Nothing that only selectors need is made before that is known, and the verdict says it."""
    config = _config(data)["config"]
    effort = {"model": str(data / "model"), "parameters": "last_block"}
    made: list[str] = []

    def display(stage):
        made.append(stage.value)
        return SILENT

    asked = {
        "selectors": ["effort"],
        "curve": [3],
        "full_data_runs": 1,
        "config": {
            **config,
            "effort": effort,
            "finetune": {**config["finetune"], "learning_rate": 1e-12},
        },
    }
    report = compare(
        data / "interactions.csv",
        items=data / "items.csv",
        config=_config(data, despite_no_headroom=False, **asked),
        out=tmp_path,
        stages=display,
    )
    assert made == ["ingest", "surrogate", "headroom", "compare"]
    assert report.curve is None
    assert report.stopped
    assert [run.selector for run in report.runs] == ["all data"]
    assert report.verdict.startswith("This set-up does not teach the model to recommend")
    assert (report.differences, report.costs, report.exchanged) == ([], [], None)
    assert report.headroom is not None
    assert report.headroom.surrogate is not None
    assert "Is there anything to learn?" in (tmp_path / "report.html").read_text()


def test_a_curve_stands_alone_or_beside_selectors_with_the_runs_that_they_share(data, tmp_path):
    asked = {"budgets": [], "selectors": [], "curve": [4, 0.5], "full_data_runs": 2}
    alone = _compare(data, tmp_path / "alone", **asked)
    assert [(point.samples, point.runs) for point in alone.curve.points] == [
        *((0, 0), (4, 2), (30, 2), (60, 2))
    ]
    assert (alone.selectors, alone.differences, alone.exchanged, alone.costs) == ([], [], None, [])
    assert {run.selector for run in alone.runs} == {"random", "all data"}
    assert "recall@10" in alone.curve.points[0].metrics
    assert "nll" in alone.curve.points[0].metrics
    page = (tmp_path / "alone" / "report.html").read_text()
    assert "How many samples are enough?" in page and "<title>30 samples: " in page
    assert ("samples are enough" in alone.verdict) or ("Of the gain in" in alone.verdict)
    of = alone.curve.of
    assert (of.dataset_sha256, of.recommender) == (alone.data.sha256, "bigrec")

    beside = _compare(
        data, tmp_path / "beside", **{**asked, "budgets": [4], "selectors": ["random"]}
    )
    metrics = {(run.selector, run.budget, run.number): run.metrics for run in alone.runs}
    same = [run for run in beside.runs if (run.selector, run.budget, run.number) in metrics]
    assert len(same) == len(metrics)
    assert {row.budget for row in beside.table} == {
        4,
        60,
    }  # what the curve adds is no selector's row
    assert [point.samples for point in beside.curve.points] == [0, 4, 30, 60]
    sizes = {run.budget for run in beside.runs if run.selector == "histories exchanged"}
    assert sizes == {4}


def test_nothing_to_measure_on_is_said_before_anything_is_trained(data, tmp_path):
    lines = (data / "interactions.csv").read_text().splitlines()
    header = [*lines[0].split(","), "split"]
    rows = [f"{line},train" for line in lines[1:]]
    (tmp_path / "train.csv").write_text("\n".join([",".join(header), *rows]))
    with pytest.raises(InputError) as refusal:
        compare(
            tmp_path / "train.csv",
            items=data / "items.csv",
            config=_config(data),
            out=tmp_path / "out",
        )
    assert refusal.value.code == "no_held_out_users"


def test_all_layers_may_be_trained(data, tmp_path):
    config = _config(data)["config"]
    finetune = {**config["finetune"], "lora": {}}
    evaluation = {**config["evaluation"], "ranking_users": 0}
    report = _compare(
        data,
        tmp_path,
        budgets=[4],
        selectors=["random"],
        full_data_runs=0,
        config={**config, "finetune": finetune, "evaluation": evaluation},
    )
    assert report.model.trained_layers == report.model.layers == 3
    assert report.costs[0].trunk == 0
    assert not report.full_cost.measured
    assert "recall@10" not in report.table[0].metrics
    assert np.isfinite(report.table[0].metrics["nll"].mean)
