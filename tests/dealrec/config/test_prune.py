"""The job's configuration as a whole."""

import pytest

from dealrec.config import EvaluationConfig, PruneConfig, RiskTarget
from dealrec.config.stages import (
    STAGES,
    JobOptions,
    StageName,
    planned_stages,
    stage_keys,
    stage_needs,
)
from dealrec.errors import InputError


def test_an_unknown_field_is_named_with_its_place():
    with pytest.raises(InputError) as caught:
        PruneConfig.parse({"selection": {"stratas": 3}, "surrogate": {"epochs": "many"}})
    assert caught.value.code == "invalid_config"
    assert {error.location for error in caught.value.errors} == {
        "config.selection.stratas",
        "config.surrogate.epochs",
    }
    assert "many" not in str(caught.value.to_problem())


def test_without_effort_its_weight_is_zero():
    config = PruneConfig.parse(
        {"effort": None, "selection": {"method": "dealrec", "effort_weight": 0.7}}
    )
    assert config.selection.effort_weight == 0


def test_a_resolved_configuration_replays_itself():
    config = PruneConfig.parse({"finetune": {}}).resolved(has_validation=True, has_test=True)
    assert config.influence.target is RiskTarget.VALIDATION
    assert PruneConfig.parse(config.model_dump(mode="json")) == config


def test_validation_needs_a_validation_split():
    assert (
        PruneConfig().resolved(has_validation=False, has_test=True).influence.target
        is RiskTarget.TRAIN
    )
    config = PruneConfig.parse({"influence": {"target": "validation"}})
    with pytest.raises(InputError) as caught:
        config.resolved(has_validation=False, has_test=True)
    assert caught.value.code == "no_validation_split"


def resolved(evaluation, *, has_test=True, **parts):
    config = PruneConfig.parse({"finetune": {}, "evaluation": evaluation, **parts})
    return config.resolved(has_validation=True, has_test=has_test)


@pytest.mark.parametrize(
    ("split", "has_test", "users"),
    [
        ("valid", True, "half"),
        ("auto", False, "half"),
        ("auto", True, "all"),
        ("test", True, "all"),
    ],
)
def test_an_evaluation_of_validation_users_leaves_scores_one_half_of_them(split, has_test, users):
    config = resolved({"split": split}, has_test=has_test)
    assert config.validation_users == users
    again = PruneConfig.parse(config.of_coreset().model_dump(mode="json"))
    assert again.validation_users == users


def test_answers_that_the_selection_looks_at_are_not_asked():
    with pytest.raises(InputError, match="validation_users: half") as caught:
        resolved({"split": "valid"}, validation_users="all")
    assert caught.value.code == "answers_aimed_at"
    by_chance = {"selection": {"method": "random"}}
    assert resolved({"split": "valid"}, validation_users="all", **by_chance)


def test_a_coreset_is_evaluated_on_answers_that_its_selection_did_not_see():
    made = PruneConfig().resolved(has_validation=True, has_test=True)
    made.require_unseen_answers(EvaluationConfig(), has_test=True)
    with pytest.raises(InputError) as caught:
        made.require_unseen_answers(EvaluationConfig(), has_test=False)
    assert caught.value.code == "answers_aimed_at"
    halved = PruneConfig.parse({"validation_users": "half"})
    halved.require_unseen_answers(EvaluationConfig(), has_test=False)


def _keys(budget=10, dataset="a", **parts):
    config = PruneConfig.parse({"finetune": {}, "effort": {}, **parts})
    return stage_keys(planned_stages(config), JobOptions(config, budget), source=dataset)


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ({"budget": 11}, {"select", "finetune"}),
        ({"selection": {"strata": 3}}, {"select", "finetune"}),
        ({"finetune": {"epochs": 2}}, {"finetune"}),
        ({"effort": {"reduction": "sum"}}, {"effort", "select", "finetune"}),
        ({"prompt": {"item_noun": "book"}}, {"effort", "select", "finetune"}),
        ({"influence": {"damping": 0.5}}, {"influence", "select", "finetune"}),
        ({"surrogate": {"seed": 1}}, {"surrogate", "influence", "select", "finetune"}),
        ({"validation_users": "half"}, {"surrogate", "influence", "select", "finetune"}),
        ({"dataset": "b"}, {"surrogate", "influence", "effort", "select", "finetune"}),
    ],
)
def test_only_what_a_change_touches_gets_a_new_key(change, redone):
    before, after = _keys(), _keys(**change)
    assert {name for name in before if before[name] != after[name]} == redone


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ({"budget": 11}, {"effort", "select", "finetune"}),
        ({"selection": {"strata": 3}}, {"effort", "select", "finetune"}),
        ({"selection": {"effort_weight": 1}}, {"select", "finetune"}),
        ({"influence": {"damping": 0.5}}, {"influence", "effort", "select", "finetune"}),
    ],
)
def test_effort_of_candidates_depends_on_what_the_pool_is_drawn_by(change, redone):
    pooled = {"effort": {"candidates": 4}}
    before, after = _keys(**pooled), _keys(**pooled, **change)
    assert {name for name in before if before[name] != after[name]} == redone


def test_effort_of_candidates_waits_for_influence():
    for candidates, needs in ((None, ()), (4, ("influence",))):
        config = PruneConfig.parse({"effort": {"candidates": candidates}})
        assert STAGES[StageName.EFFORT].needs(config) == needs


def test_a_stage_needs_only_stages_before_it():
    order = list(STAGES)
    assert order == list(StageName)
    for parts in ({}, {"effort": {"candidates": 2}}, {"embedding": {"source": "language_model"}}):
        config = PruneConfig.parse(parts)
        for spec in STAGES.values():
            needs = stage_needs(spec, config)
            assert all(order.index(need) < order.index(spec.name) for need in needs)


EXTRA = {
    "balanced": set(),
    "dealrec": {"effort"},
    "random": set(),
    "stratified_random": set(),
    "el2n": {"difficulty"},
    "ccs": {"difficulty"},
    "d2": {"difficulty", "embedding"},
    "herding": {"embedding"},
    "gradient_match": {"gradients"},
    "goracs": {"embedding", "effort"},
    "importance_resampling": {"embedding"},
    "recent_popular": set(),
    "round_robin": {"embedding"},
    "explained": {"difficulty"},
    "ifd": {"ifd"},
    "metagradient": {"titles"},
    "composite": {"difficulty", "embedding"},
    "thinned_influence": set(),
    "influence_strata": set(),
}


@pytest.mark.parametrize("method", EXTRA)
def test_a_stage_is_planned_only_where_the_selector_looks_at_what_it_makes(method):
    config = PruneConfig.parse({"selection": {"method": method, "difficulty": "el2n"}})
    planned = {spec.name.value for spec in planned_stages(config)}
    assert planned == {"surrogate", "influence", "select"} | EXTRA[method]


def test_selectors_share_the_stages_that_they_have_in_common():
    by_d2, by_herding = _keys(selection={"method": "d2"}), _keys(selection={"method": "herding"})
    assert by_d2["embedding"] == by_herding["embedding"]
    assert by_d2["select"] != by_herding["select"]
    kept = _keys()
    assert all(by_d2[name] == kept[name] for name in ("surrogate", "influence", "effort"))


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ({"embedding": {"validation_samples": 5}}, True),
        ({"embedding": {"model": "other/model"}}, False),
        ({"surrogate": {"seed": 1}}, True),
        ({"prompt": {"item_noun": "book"}}, False),
        ({"gradients": {"dimension": 8}}, False),
    ],
)
def test_the_surrogates_vectors_depend_on_no_language_model(change, redone):
    selection = {"selection": {"method": "herding"}}
    assert (_keys(**selection)["embedding"] != _keys(**selection, **change)["embedding"]) is redone


def test_the_language_models_vectors_depend_on_no_surrogate():
    parts = {"selection": {"method": "herding"}, "embedding": {"source": "language_model"}}
    before = _keys(**parts)["embedding"]
    assert before == _keys(**parts, surrogate={"seed": 1})["embedding"]
    assert before != _keys(**parts, prompt={"item_noun": "book"})["embedding"]


@pytest.mark.parametrize("method", ["gradient_match", "metagradient"])
def test_a_selector_of_validation_samples_needs_a_validation_split(method):
    config = PruneConfig.parse({"selection": {"method": method}})
    config.resolved(has_validation=True, has_test=True)
    with pytest.raises(InputError) as caught:
        config.resolved(has_validation=False, has_test=True)
    assert caught.value.code == "no_validation_split"
    assert method in caught.value.detail and "`leave_one_out`" in caught.value.detail


def test_a_selector_of_effort_needs_effort():
    with pytest.raises(InputError, match="needs effort"):
        PruneConfig.parse({"effort": None, "selection": {"method": "goracs"}})
    PruneConfig.parse({"effort": None, "selection": {"method": "dealrec"}})
