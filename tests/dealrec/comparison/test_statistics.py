import numpy as np
import pytest

from dealrec.comparison.costs import needed_stages
from dealrec.comparison.statistics import differences, mean_jaccard, same_against_same, table
from dealrec.config import EmbeddingConfig, PruneConfig, SelectionConfig

DRAW = np.random.default_rng(0)
USERS = DRAW.normal(20, 5, 200)


def _runs(count, shift=0.0, run_spread=0.02):
    noise = DRAW.normal(0, 0.3, (count, len(USERS)))
    return USERS + shift + DRAW.normal(0, run_spread, (count, 1)) + noise


def test_a_lower_loss_is_better_and_a_lower_recall_worse():
    figures = {
        ("random", 64): {"nll": _runs(8), "recall@10": _runs(8)},
        ("good", 64): {"nll": _runs(5, -0.5), "recall@10": _runs(5, -0.5)},
        ("same", 64): {"nll": _runs(5), "recall@10": _runs(5)},
    }
    found = {(row.selector, row.metric): row for row in differences(figures, ["random"])}
    assert found["good", "nll"].better is True
    assert found["good", "recall@10"].better is False
    assert found["same", "nll"].better is None
    assert found["good", "nll"].mean == pytest.approx(-0.5, abs=0.15)
    assert found["good", "nll"].corrected_p_value >= found["good", "nll"].p_value
    assert {row.against for row in found.values()} == {"random"}


def test_many_selectors_of_which_none_is_better_are_rarely_called_so():
    shown = 0
    for _ in range(20):
        figures = {(f"s{n}", 8): {"nll": _runs(4)} for n in range(10)}
        figures["random", 8] = {"nll": _runs(8)}
        shown += any(row.better is not None for row in differences(figures, ["random"]))
    assert shown <= 4  # each has a chance of 0.05; uncorrected more than half would be


def test_a_single_run_has_a_row_but_no_difference():
    figures = {("random", 8): {"nll": _runs(3)}, ("all data", 60): {"nll": _runs(1)}}
    assert [row.runs for row in table(figures)] == [3, 1]
    assert differences(figures, ["random"]) == []


def test_random_against_itself_is_rejected_about_one_time_in_twenty():
    found = same_against_same(_runs(8))
    assert found.splits == 70  # of eight runs, four
    assert found.rejected < 0.3  # splits share runs
    assert 0.005 < found.simulated_rejected < 0.08  # its error counts noise of users twice
    assert same_against_same(_runs(3)).splits == 0


def test_overlap_is_of_runs_side_by_side():
    first = [np.array([0, 1, 2]), np.array([3, 4, 5])]
    second = [np.array([0, 1, 2]), np.array([5, 6, 7])]
    assert mean_jaccard(first, second) == pytest.approx((1 + 1 / 5) / 2)
    assert mean_jaccard(first) == 0
    assert mean_jaccard(first[:1]) == 1


@pytest.mark.parametrize(
    ("method", "stages"),
    [
        ("random", []),
        ("stratified_random", []),
        ("influence", ["surrogate", "influence"]),
        ("dealrec", ["surrogate", "influence", "effort"]),
        ("grand", ["surrogate", "difficulty"]),
        ("herding", ["surrogate", "embedding"]),
        ("gradient_match", ["gradients"]),
        ("recent_popular", []),
        ("ifd", ["ifd"]),
        ("goracs", ["surrogate", "effort", "embedding"]),
    ],
)
def test_a_selector_pays_for_what_it_looks_at(method, stages):
    needed = needed_stages(SelectionConfig(method=method), PruneConfig())
    assert [name.value for name in needed] == stages


def test_vectors_of_the_language_model_need_no_surrogate():
    config = PruneConfig(embedding=EmbeddingConfig(source="language_model"))
    needed = needed_stages(SelectionConfig(method="herding"), config)
    assert [name.value for name in needed] == ["embedding"]
