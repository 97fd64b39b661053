"""The stages of a comparison: what depends on a run's seeds is made for each run, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from dealrec.config import ComparisonConfig, EmbeddingConfig, PruneConfig, SelectionConfig
from dealrec.config.comparison import CONTROLS
from dealrec.config.scales import FINETUNE, Scale
from dealrec.config.selectors import selector_needs
from dealrec.config.stages import (
    DataShape,
    PlannedStage,
    StageName,
    StagePlace,
    needed_stages,
    plan_comparison,
    plan_prune,
)

DATA = DataShape(
    "a" * 64,
    {"users": 50, "items": 20, "interactions": 400, "train": 300, "valid": 50, "test": 50},
    {"6": 50},
)


def planned(selectors: list[Any], **fields: Any) -> list[PlannedStage]:
    body = {"budgets": [8], "selectors": selectors, "seeds": 3, **fields}
    return plan_comparison(ComparisonConfig.parse(body, location=""), DATA).stages


def places(stages: list[PlannedStage]) -> list[tuple[str, int]]:
    return [(stage.place.name.value, stage.place.run) for stage in stages]


def test_a_run_draws_its_own_surrogate_and_effort_is_measured_once() -> None:
    stages = planned(["dealrec", "grand"])
    assert places(stages) == [
        *[("surrogate", 0), ("headroom", 0), ("influence", 0), ("effort", 0), ("difficulty", 0)],
        *[("surrogate", 1), ("influence", 1), ("difficulty", 1)],
        *[("surrogate", 2), ("influence", 2), ("difficulty", 2)],
        ("compare", 0),
    ]
    by_place = {stage.place: stage for stage in stages}
    assert by_place[StagePlace(StageName.INFLUENCE, 2)].needs == (
        StagePlace(StageName.HEADROOM),
        StagePlace(StageName.SURROGATE, 2),
    )
    seeds = [by_place[StagePlace(StageName.SURROGATE, run)].options for run in range(3)]
    assert [options.config.surrogate.seed for options in seeds] == [0, 1, 2]
    assert set(stages[-1].needs) == {stage.place for stage in stages[:-1]}
    assert len({stage.key for stage in stages}) == len(stages)


def test_the_candidates_for_effort_are_drawn_over_the_influence_of_each_run() -> None:
    stages = planned(["dealrec"], config={"effort": {"candidates": 2}})
    assert [place for place in places(stages) if place[0] == "effort"] == [
        ("effort", run) for run in range(3)
    ]


def test_members_of_an_ensemble_are_in_no_two_runs() -> None:
    stages = planned(["influence"], config={"surrogate": {"ensemble": 4, "seed": 7}})
    surrogates = [stage for stage in stages if stage.place.name is StageName.SURROGATE]
    assert [one.options.config.surrogate.seed for one in surrogates] == [7, 11, 15]


def test_selectors_that_look_at_no_surrogate_need_one_for_the_report_alone() -> None:
    assert places(planned(["stratified_random", "gradient_match"])) == [
        ("surrogate", 0),
        ("headroom", 0),
        ("influence", 0),
        ("gradients", 0),
        ("compare", 0),
    ]


def test_what_is_made_for_selectors_alone_waits_for_the_headroom_which_is_in_no_key() -> None:
    asked, unasked = planned(["dealrec"]), planned(["dealrec"], full_data_runs=0)
    gate = StagePlace(StageName.HEADROOM)
    waiting = {stage.place for stage in asked if gate in stage.needs}
    assert {stage.place for stage in asked} - waiting == {gate, StagePlace(StageName.SURROGATE)}
    assert gate not in {stage.place for stage in unasked}
    keys = {stage.place: stage.key for stage in unasked}
    for stage in asked:
        if stage.place.name not in (StageName.HEADROOM, StageName.COMPARE):
            assert stage.key == keys[stage.place]


def test_the_headroom_is_that_of_any_comparison_with_the_same_trainings() -> None:
    def key(**fields: Any) -> str:
        stages = {stage.place: stage.key for stage in planned(["influence"], **fields)}
        return stages[StagePlace(StageName.HEADROOM)]

    first = key()
    for same in ({"budgets": [9]}, {"despite_no_headroom": True}, {"smallest_effect": 1.0}):
        assert key(**same) == first
    for other in (
        {"full_data_runs": 2},
        {"full_data_samples": 20},
        {"config": {"min_history": 2}},
        {"scale": "full"},
    ):
        assert key(**other) != first
    drawn = {"full_data_samples": 20}
    assert key(**drawn) != key(**drawn, config={"selection": {"seed": 4}})
    assert key() == key(config={"selection": {"seed": 4}})  # all samples are no draw


def test_only_runs_that_a_selector_has_are_scored_for_it() -> None:
    stages = planned([{"method": "influence", "runs": 2}], seeds=8)
    assert [run for name, run in places(stages) if name == "influence"] == [0, 1]


def test_the_first_run_is_that_of_a_job_and_further_runs_change_the_comparison() -> None:
    job = {stage.place: stage.key for stage in plan_prune(PruneConfig(), 8, DATA).stages}
    three, four = planned(["influence"]), planned(["influence"], seeds=4)
    keys = [{stage.place: stage.key for stage in stages} for stages in (three, four)]
    for name in (StageName.SURROGATE, StageName.INFLUENCE):
        assert job[StagePlace(name)] == keys[0][StagePlace(name)]
        assert keys[0][StagePlace(name, 2)] == keys[1][StagePlace(name, 2)]
    assert keys[0][StagePlace(StageName.COMPARE)] != keys[1][StagePlace(StageName.COMPARE)]


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
        ("metagradient", ["titles"]),
        ("goracs", ["surrogate", "effort", "embedding"]),
    ],
)
def test_a_selector_pays_for_what_it_looks_at(method: str, stages: list[str]) -> None:
    needs = selector_needs(SelectionConfig(method=method))
    assert [spec.name.value for spec in needed_stages(PruneConfig(), needs)] == stages


def test_vectors_of_the_language_model_need_no_surrogate() -> None:
    config = PruneConfig(embedding=EmbeddingConfig(source="language_model"))
    needs = selector_needs(SelectionConfig(method="herding"))
    assert [spec.name.value for spec in needed_stages(config, needs)] == ["embedding"]


@pytest.mark.parametrize(("users", "default"), [(19, "thinned_influence"), (20, "metagradient")])
def test_a_handful_of_validation_users_is_nothing_to_aim_at_by_default(
    users: int, default: str
) -> None:
    shape = replace(DATA, counts={**DATA.counts, "valid_users": users})
    asked = PruneConfig.parse({"finetune": FINETUNE[Scale.CPU].model_dump(mode="json")})
    assert shape.decided(asked).selection.method == default
    compared = plan_comparison(ComparisonConfig.parse({"budgets": [8]}), shape).options.comparison
    assert compared is not None
    assert {default, "thinned_influence"} == {one.method for one in compared.selectors} - {
        *CONTROLS
    }
