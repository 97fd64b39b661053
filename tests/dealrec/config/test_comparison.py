"""The options of a comparison: what is refused, and how the rest is filled in."""

from typing import Any

import pytest

from dealrec.config import ComparisonConfig, SelectionConfig, SelectionMethod
from dealrec.config.comparison import CONTROLS
from dealrec.config.scales import FINETUNE, Scale
from dealrec.config.unread import comparison_warnings
from dealrec.errors import InputError


def comparison(**fields: Any) -> ComparisonConfig:
    return ComparisonConfig.parse(
        {"budgets": [10], "selectors": ["dealrec"], **fields}, location=""
    )


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown selector": ({"selectors": ["best"]}, "selectors.0.method"),
    "unknown field": (
        {"selectors": [{"method": "dealrec", "selection": {"x": 1}}]},
        "selectors.0.selection.x",
    ),
    "bad value": (
        {"selectors": ["random", {"method": "dealrec", "selection": {"strata": 0}}]},
        "selectors.1.selection.strata",
    ),
    "method twice": (
        {"selectors": [{"method": "dealrec", "selection": {"method": "random"}}]},
        "selectors.0.selection.method",
    ),
    "two of one label": ({"selectors": ["dealrec", "dealrec"]}, "selectors"),
    "the control's label": (
        {"selectors": [{"method": "dealrec", "label": "random"}]},
        "selectors.0",
    ),
    "the label of all data": (
        {"selectors": [{"method": "dealrec", "label": "all data"}]},
        "selectors.0",
    ),
    "effort left out": ({"selectors": ["effort"], "config": {"effort": None}}, ""),
    "the label of exchanged histories": (
        {"selectors": [{"method": "dealrec", "label": "histories exchanged"}]},
        "selectors.0",
    ),
    "one seed": ({"seeds": 1}, "seeds"),
    "no effect": ({"smallest_effect": 0}, "smallest_effect"),
    "no budget": ({"budgets": []}, "budgets"),
    "selectors at no budget": ({"budgets": [], "curve": [5]}, "selectors"),
    "a budget of the curve": ({"curve": [5, 0]}, "curve.1"),
    "a curve without its end": ({"curve": [5], "full_data_runs": 0}, ""),
}


@pytest.mark.parametrize(("fields", "location"), BAD.values(), ids=BAD)
def test_a_bad_one_is_refused_where_it_is_wrong(fields, location) -> None:
    with pytest.raises(InputError) as caught:
        comparison(**fields)
    assert caught.value.errors[0].location == location


@pytest.mark.parametrize("selector", ["random", "goracs", "dealrec"])
def test_a_settled_one_reads_back_as_itself(selector: str) -> None:
    changed = {"method": selector, "label": "mine", "selection": {"normalisation": "rank"}}
    asked = comparison(
        selectors=[changed], config={"selection": {"method": "goracs"}}, budgets=[0.5, 3]
    )
    assert [one.name for one in asked.selectors] == [*CONTROLS, "mine"]
    assert ComparisonConfig.parse(asked.model_dump(mode="json")) == asked


def test_every_run_is_counted() -> None:
    asked = comparison(
        selectors=["dealrec", {"method": "random", "runs": 7}], budgets=[5, 9], full_data_runs=1
    )
    others = len(CONTROLS)  # the other controls and `dealrec`
    assert asked.run_count == 2 * (8 * others + 7) + 1 + 8
    assert len(asked.planned((5, 9))) == asked.run_count - 9


def test_budgets_are_numbers_of_samples_each_once() -> None:
    assert comparison(budgets=[0.29, 0.5, 7]).resolved_budgets(100) == (29, 50, 7)
    for budgets, code in (([5, 101], "budget_too_large"), ([50, 0.5], "invalid_budget")):
        with pytest.raises(InputError) as caught:
            comparison(budgets=budgets).resolved_budgets(100)
        assert (caught.value.code, caught.value.errors[0].location) == (code, "budgets.1")


def test_a_curve_has_budgets_of_its_own_and_as_many_trainings_on_all_data_as_seeds() -> None:
    asked = comparison(curve=[0.02, 0.025, 7, 0.5, 100], budgets=[7], seeds=3)
    assert asked.resolved_curve(100) == (2, 7, 50)  # all of them are its end
    assert asked.full_data_runs == 3
    drawn = [run for run in asked.planned((7,), (2, 7, 50)) if run.budget != 7]
    assert {(run.selector, run.budget) for run in drawn} == {("random", 2), ("random", 50)}
    assert [run.selection.seed for run in drawn] == [run.number for run in drawn]
    assert len(drawn) == 6
    assert asked.run_count == 3 * (5 + 4) + 3 + 3  # at most: three of the five come to other sizes
    assert ComparisonConfig.parse(asked.model_dump(mode="json")) == asked
    with pytest.raises(InputError) as caught:
        comparison(curve=[0.1, 60], full_data_samples=50).resolved_curve(100)
    assert (caught.value.code, caught.value.errors[0].location) == ("budget_too_large", "curve.1")


def test_a_curve_may_be_all_that_is_asked_for() -> None:
    asked = ComparisonConfig.parse({"curve": [5, 20]}, location="")
    assert (asked.selectors, asked.controls, asked.needs()) == ((), [], frozenset())
    assert {run.selector for run in asked.planned((), (5, 20))} == {"random"}
    assert asked.run_count == 2 * 8 + 8
    assert asked.largest(100) == (20, 20)


def test_a_selector_of_validation_samples_needs_some() -> None:
    asked = comparison(selectors=["influence", "gradient_match"])
    assert (
        asked.resolved(has_validation=True, has_test=True).config.influence.target == "validation"
    )
    with pytest.raises(InputError, match="gradient_match") as caught:
        asked.resolved(has_validation=False, has_test=True)
    assert caught.value.code == "no_validation_split"
    plain = comparison(config={"selection": {"method": "gradient_match"}})
    assert plain.resolved(has_validation=False, has_test=True).config.influence.target == "train"


def test_a_comparison_on_validation_users_asks_those_that_no_selector_looks_at() -> None:
    on_valid = {"evaluation": {"split": "valid"}}
    asked = comparison(selectors=["influence"], config=on_valid)
    assert asked.resolved(has_validation=True, has_test=True).config.validation_users == "half"
    seen = comparison(selectors=["influence"], config={**on_valid, "validation_users": "all"})
    with pytest.raises(InputError) as caught:
        seen.resolved(has_validation=True, has_test=True)
    assert caught.value.code == "answers_aimed_at"


def test_settings_for_cpus_are_read_by_the_name_that_they_once_had():
    assert Scale("smoke") is Scale.CPU
    with pytest.raises(InputError, match="must be one of cpu, full"):
        ComparisonConfig.parse({"budgets": [4], "selectors": ["random"], "scale": "huge"})


def test_without_selectors_the_defaults_are_compared():
    usual = [SelectionConfig().method, SelectionMethod.METAGRADIENT]
    asked = comparison(selectors=[])
    assert [one.method for one in asked.selectors] == [*CONTROLS, *usual]
    generative = comparison(selectors=[], scale="full")
    assert [one.method for one in generative.selectors] == [*CONTROLS, *usual[:1]]


def test_a_default_that_the_data_do_not_allow_is_left_out_and_does_not_come_back():
    asked = comparison(selectors=[]).for_data(has_times=True, can_aim=False)
    methods = [one.method for one in asked.selectors]
    assert methods == [*CONTROLS, SelectionConfig().method]
    stored = ComparisonConfig.model_validate(asked.model_dump(mode="json"))
    assert [one.method for one in stored.selectors] == methods
    finetune = FINETUNE[Scale.CPU].model_copy(update={"epochs": 7, "model": "smollm2-360m"})
    other = comparison(selectors=[], config={"finetune": finetune.model_dump(mode="json")})
    assert comparison_warnings(other.for_data(has_times=True, can_aim=False)) == []
    named = comparison(selectors=["metagradient"]).for_data(has_times=True, can_aim=False)
    assert "metagradient" in [one.method for one in named.selectors]


@pytest.mark.parametrize("selectors", [["influence"], ["influence", *CONTROLS[:-1]]])
def test_a_control_that_needs_times_does_not_come_back_where_there_are_none(selectors):
    asked = comparison(selectors=selectors).for_data(has_times=False, can_aim=True)
    methods = [one.method for one in asked.selectors]
    assert {*methods} == {"influence", *CONTROLS} - {"recent_popular"}
    for _ in range(2):  # it is read for each stage
        asked = ComparisonConfig.parse(asked.model_dump(mode="json"))
        assert [one.method for one in asked.selectors] == methods


def test_the_default_trains_as_the_runs_do():
    finetune = FINETUNE[Scale.CPU].model_copy(update={"epochs": 7})
    asked = comparison(selectors=[], config={"finetune": finetune.model_dump(mode="json")})
    assert asked.config.selection.training_epochs == 7
