"""What jobs on texts without ids do by default, and what they refuse."""

import pytest

from dealrec.config import PruneConfig
from dealrec.config.comparison import ComparisonConfig
from dealrec.config.selectors import SELECTORS, selector_needs
from dealrec.config.stages import DataShape, plan_comparison, plan_prune
from dealrec.config.texts import FROM_TEXTS, as_asked, for_texts, text_selectors
from dealrec.errors import InputError

SHAPE = DataShape(
    "0" * 64, {"items": 0, "samples_given": 40, "valid_users": 4, "valid": 4}, {}, has_ids=False
)

SURROGATE = {"source": "surrogate"}


def planned(config):
    return plan_prune(PruneConfig.parse(config), 10, SHAPE)


def stages(config):
    return [stage.place.name.value for stage in planned(config).stages]


def test_by_default_the_strata_of_effort_are_drawn_from():
    plan = planned({})
    assert [stage.place.name.value for stage in plan.stages] == ["effort", "select"]
    selection = plan.options.config.selection
    assert (selection.method, selection.difficulty) == ("ccs", "effort")
    assert stages({"effort": None}) == ["select"]
    assert planned({"effort": None}).options.config.selection.method == "random"


def test_embeddings_are_the_language_models():
    plan = planned({"selection": {"method": "k_center"}, "finetune": {}})
    assert plan.options.config.embedding.source == "language_model"
    assert [stage.place.name.value for stage in plan.stages] == ["embedding", "select", "finetune"]


@pytest.mark.parametrize("method", SELECTORS)
def test_a_selector_works_or_is_refused_with_those_that_do(method):
    if method in text_selectors():
        needs = selector_needs(planned({"selection": {"method": method}}).options.config.selection)
        assert needs <= FROM_TEXTS
        return
    with pytest.raises(
        InputError, match=r"These selectors work: .*`random`.*`k_center`"
    ) as refused:
        planned({"selection": {"method": method}})
    assert refused.value.code == "no_sample_ids" and method in refused.value.detail


def test_the_selectors_that_need_no_surrogate_are_these():
    assert {*text_selectors()} == {
        "random", "effort", "ccs", "moderate", "d2", "k_center", "herding", "tf_dcon", "gradient_match",
        "goracs", "importance_resampling", "round_robin", "ifd",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"finetune": {}, "evaluation": {}}, "config.evaluation"),
        ({"audit": {}}, "config.audit"),
        ({"sampling": "per_user"}, "config.sampling"),
        ({"validation_users": "half"}, "config.validation_users"),
        ({"effort": {"candidates": 3}}, "config.effort.candidates"),
        ({"finetune": {"recommender": "encoder"}}, "config.finetune.recommender"),
        ({"selection": {"method": "ccs", "difficulty": "grand"}}, "config.selection.difficulty"),
        ({"selection": {"method": "k_center"}, "embedding": SURROGATE}, "config.embedding.source"),
        ({"selection": {"method": "effort"}, "effort": None}, None),
    ],
)  # fmt: skip
def test_what_needs_ids_is_refused_by_name(config, place):
    with pytest.raises(InputError) as refused:
        planned(config)
    if place is not None:
        assert (refused.value.code, refused.value.errors[0].location) == ("no_sample_ids", place)


def test_a_comparison_is_refused():
    comparison = ComparisonConfig.parse({"budgets": [4], "selectors": ["random"], "config": {}})
    with pytest.raises(InputError, match="A comparison needs ids") as refused:
        plan_comparison(comparison, SHAPE)
    assert refused.value.code == "no_sample_ids"


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"effort": None},
        {"effort": {"max_tokens": 64}},
        {"selection": {"strata": 7}},
        {"selection": {"method": "d2"}},
        {"selection": {"method": "thinned_influence"}},
        {"selection": {"method": "k_center"}, "embedding": {"source": "surrogate"}},
    ],
)
def test_what_a_job_keeps_while_it_waits_leaves_the_choice_to_the_data(config):
    asked = PruneConfig.parse(config)
    kept = PruneConfig.parse(as_asked(asked))
    assert kept == asked

    def outcome(given):
        try:
            return for_texts(given)
        except InputError as error:
            return error.to_problem()

    assert outcome(kept) == outcome(asked)


def test_the_resolved_configuration_replays_itself():
    resolved = planned({"finetune": {}}).options.config
    assert planned(resolved.model_dump(mode="json")).options.config == resolved
