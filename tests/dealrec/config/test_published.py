"""``dealrec_paper`` is the published method from end to end."""

import pytest

from dealrec.config import ComparisonConfig, EffortConfig, PruneConfig, SelectionMethod
from dealrec.config.published import EFFORT, INFLUENCE
from dealrec.errors import InputError

PAPER = {"selection": {"method": "dealrec_paper"}}


def resolved(config):
    return config.resolved(has_validation=True, has_test=True)


def assert_published(config):
    assert {name: getattr(config.influence, name) for name in INFLUENCE} == INFLUENCE
    assert {name: getattr(config.effort, name) for name in EFFORT} == EFFORT


def test_its_name_sets_the_scores_too():
    config = resolved(PruneConfig.parse({**PAPER, "effort": {"max_tokens": 64}}))
    assert_published(config)
    assert config.effort.max_tokens == 64
    assert resolved(PruneConfig.parse(config.model_dump(mode="json"))) == config
    assert_published(resolved(PruneConfig.parse(PAPER)))


def test_another_value_is_refused_by_name_where_the_job_is_planned():
    parts = {"influence": {"target": "validation"}, "effort": {"parameters": "v_proj"}}
    config = PruneConfig.parse({**PAPER, **parts})  # a stored job stays readable
    with pytest.raises(InputError, match="dealrec") as caught:
        resolved(config)
    assert caught.value.code == "not_as_published"
    assert {error.location for error in caught.value.errors} == {
        "config.influence.target",
        "config.effort.parameters",
    }


def test_without_effort_it_is_not_the_published_method():
    without = {**PAPER, "effort": None}
    with pytest.raises(InputError) as caught:
        resolved(PruneConfig.parse(without))
    assert caught.value.errors[0].location == "config.effort"


def comparison(*selectors, **config):
    body = {"budgets": [8], "selectors": list(selectors), "config": config}
    return ComparisonConfig.parse(body, location="comparison")


def test_a_comparison_with_controls_takes_its_scores():
    assert_published(resolved(comparison("dealrec_paper", "stratified_random")).config)


def test_a_comparison_whose_other_selectors_share_its_scores_says_so_first():
    with pytest.raises(InputError, match="share their scores") as caught:
        resolved(comparison("dealrec_paper", "influence"))
    assert caught.value.code == "not_as_published"
    given = {"influence": dict(INFLUENCE), "effort": dict(EFFORT)}
    assert_published(resolved(comparison("dealrec_paper", "influence", **given)).config)


def test_other_selectors_keep_their_own_defaults():
    config = PruneConfig.parse({"selection": {"method": SelectionMethod.DEALREC}})
    assert config.effort == EffortConfig()
    assert config.influence == PruneConfig().influence
