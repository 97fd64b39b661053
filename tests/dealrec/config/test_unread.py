"""Options that have no effect are found, and only those."""

import pytest

from dealrec.config import ComparisonConfig, PruneConfig, SelectionMethod
from dealrec.config.unread import comparison_warnings, config_warnings, told


def places(config: dict, budget: int | None = None) -> list[str]:
    found = config_warnings(PruneConfig.parse(config), budget)
    return [one.location.removeprefix("config.") for one in found]


@pytest.mark.parametrize("method", SelectionMethod)
def test_what_was_not_changed_is_not_warned_of(method):
    config = PruneConfig.parse({"selection": {"method": method}, "finetune": {}})
    assert config_warnings(config) == []
    replayed = PruneConfig.parse(config.model_dump(mode="json"))
    assert config_warnings(replayed) == []


@pytest.mark.parametrize(
    ("config", "unread"),
    [
        ({"selection": {"method": "random", "strata": 20}}, ["selection.strata"]),
        ({"selection": {"method": "dealrec", "strata": 20}}, []),
        ({"effort": None, "selection": {"method": "dealrec", "effort_weight": 0.9}}, []),
        ({"selection": {"method": "d2", "clusters": 9}}, ["selection.clusters"]),
        ({"surrogate": {"model": "gru4rec", "heads": 4}}, ["surrogate.heads"]),
        ({"surrogate": {"neighbours": 9}}, ["surrogate.neighbours"]),
        ({"surrogate": {"model": "dcrec", "neighbours": 9}}, []),
        ({"surrogate": {"model": "own.module:Own", "heads": 4}}, []),
        ({"surrogate": {"loss": "bce", "negatives": 9}}, ["surrogate.negatives"]),
        ({"surrogate": {"loss": "gbce", "calibration": 0.5}}, []),
        ({"influence": {"recent": 0.5}}, ["influence.recent"]),
        ({"influence": {"solver": "lissa", "minibatches": 2}}, []),
        ({"effort": {"lora_rank": 4}}, ["effort.lora_rank"]),
        ({"effort": {"parameters": "lora_b", "lora_rank": 4}}, []),
        ({"embedding": {"source": "language_model"}}, ["embedding.source"]),
        (
            {"selection": {"method": "k_center"}, "embedding": {"max_tokens": 64}},
            ["embedding.max_tokens"],
        ),
        ({"ifd": {"max_tokens": 64}}, ["ifd.max_tokens"]),
        ({"titles": {"candidates": 8}}, ["titles.candidates"]),
        ({"selection": {"trainings": 2}}, ["selection.trainings"]),
        ({"finetune": {"encoder": {"dimensions": 8}}}, ["finetune.encoder"]),
        ({"finetune": {"validation": {"keep_best": False}}}, ["finetune.validation.keep_best"]),
    ],
)
def test_an_option_that_nothing_chosen_reads_is_found(config, unread):
    assert places(config) == unread


def test_strata_that_outnumber_the_budget_are_told_with_both_numbers():
    config = {"selection": {"method": "influence_strata", "strata": 20}}
    assert places(config, 20) == []
    (found,) = config_warnings(PruneConfig.parse(config), 19)
    assert told(found).startswith(
        "`config.selection.strata` gives 20 strata, more than the budget of 19 samples"
    )
    balanced = {"selection": {"method": "balanced", "strata": 5, "length_strata": 4}}
    assert places(balanced, 19) == ["selection.strata"]
    assert places({"selection": {"method": "random"}}, 3) == []


def test_a_comparison_warns_of_what_none_of_its_selectors_reads():
    shared = {"selection": {"clusters": 9, "window": 0.1}, "embedding": {"max_tokens": 64}}
    asked = {"budgets": [60], "selectors": ["moderate"], "config": shared}
    shown = [one.location for one in comparison_warnings(ComparisonConfig.parse(asked))]
    assert shown == ["config.embedding.max_tokens", "config.selection.window"]
    own = {"method": "dealrec", "selection": {"strata": 70, "window": 0.1}}
    found = comparison_warnings(ComparisonConfig.parse({"budgets": [60, 0.5], "selectors": [own]}))
    place = next(one.location.split(".")[1] for one in found)
    assert [one.location for one in found] == [
        f"selectors.{place}.selection.window",
        f"selectors.{place}.selection.strata",
    ]
