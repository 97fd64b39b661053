import json
import subprocess
import sys

import pytest

from dealrec.config import PruneConfig
from dealrec.errors import InputError
from dealrec.influence.fidelity.datamodeling import CEILING, COUNT, FidelityScale
from dealrec.influence.fidelity.measure import CONFIGURED, PUBLISHED, measure_fidelity
from tests.dealrec.surrogates.data import ring_dataset

SURROGATE = {
    "hidden_size": 8,
    "max_length": 6,
    "epochs": 4,
    "batch_tokens": 64,
    "learning_rate": 0.01,
}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    config = PruneConfig.parse(
        {
            "effort": None,
            "surrogate": SURROGATE,
            "influence": {"parameters": "item_embedding", "damping": 0.1},
        }
    )
    return measure_fidelity(
        ring_dataset(users=80, items=25),
        config,
        tmp_path_factory.mktemp("trainings"),
        scale=FidelityScale(halves=4, seeds=2, queries=30, surrogates=1),
        table=True,
        left_out=6,
        small_users=30,
    )


def test_every_predictor_stands_beside_the_ceiling_and_the_count(report):
    for scores in report.datamodeling.scores.values():
        assert {CONFIGURED, PUBLISHED, CEILING, COUNT, "last_block, gauss_newton"} <= set(scores)
        assert all(-1 <= one.low <= one.mean <= one.high <= 1 for one in scores.values())
    assert set(report.datamodeling.scores) == {"validation", "train"}


def test_retraining_agrees_with_scores_at_the_minimum_and_both_are_reported(report):
    assert report.leave_one_out.at_minimum.mean > 0.5
    assert -1 <= report.leave_one_out.used.low <= report.leave_one_out.used.mean <= 1
    assert any("the scores that select samples" in line for line in report.lines())
    assert "6 left out" in report.leave_one_out_note


def test_predictors_through_parameters_that_a_surrogate_lacks_are_left_out(tmp_path):
    config = PruneConfig.parse({"effort": None, "surrogate": {**SURROGATE, "model": "lightgcn"}})
    found = measure_fidelity(
        ring_dataset(users=24, items=12),
        config,
        tmp_path,
        scale=FidelityScale(halves=3, seeds=1, queries=6, surrogates=1),
        table=True,
        left_out=3,
        small_users=12,
    )
    names = set(found.datamodeling.scores["train"])
    assert names == {
        CONFIGURED,
        COUNT,
        "item_embedding, gradient product",
        "item_embedding, gauss_newton",
        "all, gradient product",
        "all, gauss_newton",
    }


def test_verdicts_say_what_the_intervals_show(report):
    differences = report.datamodeling.differences["validation"]
    for sentence in report.verdicts()[: len(differences)]:
        better = "better than" in sentence
        name = next(one for one in differences if one.split(" − ")[1] in sentence)
        assert better == (differences[name].low > 0)


def test_influence_of_the_item_vectors_tells_something_of_training_losses(report):
    """Each ring item has one successor, so a half without it cannot learn what a query asks."""
    assert report.datamodeling.scores["train"][CONFIGURED].mean > 0


def test_the_command_writes_its_report(tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    dealrec("sample-data", data, "--users", "40", "--items", "30")
    scale = [
        "--halves",
        "3",
        "--seeds",
        "1",
        "--queries",
        "10",
        "--surrogates",
        "1",
        "--left-out",
        "3",
    ]
    small = [f"--set=surrogate.{name}={value}" for name, value in SURROGATE.items()]
    small.append("--set=influence.parameters=item_embedding")
    printed = dealrec("fidelity", data / "interactions.csv", "--out", out, *scale, *small, "--json")
    assert json.loads(printed) == json.loads((out / "report.json").read_text())


def dealrec(*arguments):
    command = [sys.executable, "-m", "dealrec", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_scores_that_are_not_about_the_likelihood_are_not_checked_by_it(tmp_path):
    config = PruneConfig.parse({"influence": {"risk": "preference"}})
    with pytest.raises(InputError) as caught:
        measure_fidelity(ring_dataset(), config, tmp_path)
    assert caught.value.code == "risk_not_checked"
