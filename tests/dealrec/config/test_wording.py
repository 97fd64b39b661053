"""A fault is told once, in plain words, at the field that has it, with the nearest name."""

from typing import Any

import pytest

from dealrec.config import ComparisonConfig, PruneConfig
from dealrec.config.base import Config, overlaid
from dealrec.errors import InputError


def told(model: type[Config], value: Any) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        model.parse(value, location="")
    return {error.location: error.message for error in caught.value.errors}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"selection": {"methd": "x"}}, "is not an option; did you mean `method`?"),
        ({"selection": {"method": "influense"}}, "has no such choice; did you mean `influence`?"),
        ({"selection": {"strata": "many"}}, "must be a whole number"),
        ({"selection": {"strata": 0}}, "must be at least 1"),
        ({"selection": {"effort_weight": float("nan")}}, "must be a finite number"),
        ({"finetune": {"lora": {"target_modules": []}}}, "must not be empty"),
        ({"finetune": {"lora": {"ranc": 1}}}, "is not an option; did you mean `rank`?"),
        ({"efort": None}, "is not an option; did you mean `effort`?"),
        ({"evaluation": {"split": "never"}}, "must be one of auto, valid, test"),
        ({"surrogate": []}, "must be an object of named values"),
        ({"prompt": {"item_noun": 3}}, "must be text"),
    ],
)
def test_a_fault_is_one_phrase(value: dict[str, Any], expected: str) -> None:
    assert list(told(PruneConfig, value).values()) == [expected]


def test_a_list_is_not_called_empty_because_of_a_wrong_value_in_it() -> None:
    found = told(
        ComparisonConfig, {"budgets": [0], "selectors": ["random", {"method": "random", "run": 2}]}
    )
    assert set(found) == {"budgets.0", "selectors.1.run"}
    assert found["selectors.1.run"] == "is not an option; did you mean `runs`?"


class _Union(Config):
    value: int | bool | list[int] = 3


def test_the_members_of_a_union_are_one_fault() -> None:
    assert told(_Union, {"value": "x"}) == {
        "value": "must be a whole number or true or false or a list"
    }
    assert told(_Union, {"value": [1, "x"]})["value.1"] == "must be a whole number"


def test_one_fault_is_a_sentence_and_several_are_counted() -> None:
    with pytest.raises(InputError, match=r"`config.selection.strata` must be at least 1\.$"):
        PruneConfig.parse({"selection": {"strata": 0}})
    with pytest.raises(InputError, match=r"did you mean `effort`[?]$"):
        PruneConfig.parse({"efort": 1})
    with pytest.raises(InputError, match="2 fields of config"):
        PruneConfig.parse({"efort": 1, "sampling": 3})


def test_options_that_are_laid_over_others_leave_the_rest_of_their_part():
    known = {
        "selection": {"method": "random", "seed": 7},
        "effort": {"model": "a"},
        "sampling": "x",
    }
    more = {"selection": {"strata": 9}, "effort": None}
    assert overlaid(known, more) == {
        "selection": {"method": "random", "seed": 7, "strata": 9},
        "effort": None,
        "sampling": "x",
    }
    assert known["selection"] == {"method": "random", "seed": 7}
