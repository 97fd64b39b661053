"""Every stage's specification: the options in its key, its work, and the function that runs it."""

from collections.abc import Iterator
from enum import Enum
from inspect import signature
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from dealrec.config import ComparisonConfig, PruneConfig
from dealrec.config.language_models import revision
from dealrec.config.stages import STAGES, JobOptions, Phase, StageName, Workload
from dealrec.errors import InputError
from dealrec.stages.registry import load_stage

SAMPLES = {"sampling", "min_history"}
VALIDATION = {"validation_users"}
READ = {
    StageName.INGEST: set[str](),
    StageName.AUDIT: {"audit"},
    StageName.SURROGATE: VALIDATION | {"surrogate"},
    StageName.INFLUENCE: SAMPLES | VALIDATION | {"influence"},
    StageName.EFFORT: SAMPLES | {"prompt", "effort"},
    StageName.DIFFICULTY: SAMPLES,
    StageName.EMBEDDING: SAMPLES | VALIDATION | {"prompt", "embedding"},
    StageName.GRADIENTS: SAMPLES | VALIDATION | {"prompt", "gradients"},
    StageName.IFD: SAMPLES | {"prompt", "ifd"},
    StageName.TITLES: SAMPLES | VALIDATION | {"prompt", "titles"},
    StageName.SELECT: SAMPLES | {"prompt", "selection"},
    StageName.FINETUNE: {"finetune"},
    StageName.EVALUATE: {"evaluation"},
}
"""The parts of the configuration that enter each stage's key; that of a comparison has all options."""
LEFT_OUT = {
    "effort.shard_samples",
    "finetune.encoder.dimensions",
    "finetune.encoder.pooling",
    "finetune.encoder.history",
    "finetune.encoder.decay",
    "finetune.encoder.softmax",
    "finetune.encoder.temperature",
    "finetune.encoder.learning_rate",
    "finetune.encoder.negatives",
}
"""Options that change no result of the recommender `bigrec`, or of any."""
POOL = {"strata", "stratum_edges", "normalisation", "seed"}
"""Options of the selection by which the candidates for effort are drawn."""
LOADING = (StageName.EFFORT, StageName.FINETUNE)
VALUES = (True, False, 1, 2, 0.5, 0.25, "bigrec", "encoder", ["x"])


def config(**parts: Any) -> PruneConfig:
    """A configuration in which every part is there."""
    given: dict[str, Any] = {"audit": {}, "effort": {}, "finetune": {}, "evaluation": {}}
    return PruneConfig.parse({**given, "embedding": {"source": "language_model"}, **parts})


def changes(model: BaseModel, place: str = "") -> Iterator[tuple[str, Any]]:
    """The place of every option, and the model with another value there alone."""
    for name, info in type(model).model_fields.items():
        value, path = getattr(model, name), f"{place}{name}"
        if isinstance(value, BaseModel):
            for inner, changed in changes(value, f"{path}."):
                yield inner, model.model_copy(update={name: changed})
        else:
            yield path, model.model_copy(update={name: _another(info.annotation, value)})


def _another(annotation: Any, value: Any) -> Any:
    if isinstance(value, Enum):
        return next(one for one in type(value) if one is not value)
    for candidate in (*get_args(annotation), *VALUES):
        try:
            found = TypeAdapter(annotation).validate_python(candidate)
        except (ValidationError, TypeError):
            continue
        if found != value:
            return found
    raise AssertionError(f"no other value than {value!r} for {annotation}")


def redone(name: StageName, before: PruneConfig) -> set[str]:
    """The options that change the stage's own part of the key."""
    spec = STAGES[name]
    key = spec.key_options(JobOptions(before, 10))
    return {
        path
        for path, changed in changes(before)
        if spec.key_options(JobOptions(changed, 10)) != key
    }


@pytest.mark.parametrize("name", READ)
def test_a_key_changes_when_and_only_when_an_option_that_it_names_changes(name: StageName) -> None:
    before = config()
    named = {path for path, _ in changes(before) if path.split(".")[0] in READ[name]}
    assert redone(name, before) == named - LEFT_OUT


def test_candidates_for_effort_bring_the_options_of_their_pool_into_its_key() -> None:
    every, pooled = config(), config(effort={"candidates": 3})
    drawn_by = {f"selection.{name}" for name in POOL}
    assert redone(StageName.EFFORT, pooled) == redone(StageName.EFFORT, every) | drawn_by
    spec = STAGES[StageName.EFFORT]
    for options, depends in ((every, False), (pooled, True)):
        keys = [spec.key_options(JobOptions(options, budget)) for budget in (10, 11)]
        assert (keys[0] != keys[1]) is depends


def test_vectors_from_the_surrogate_depend_on_no_option_of_a_language_model() -> None:
    read = SAMPLES | VALIDATION | {"embedding.source", "embedding.validation_samples"}
    from_surrogate = config(embedding={"source": "surrogate"})
    assert redone(StageName.EMBEDDING, from_surrogate) - read == set()
    assert read <= redone(StageName.EMBEDDING, from_surrogate)


@pytest.mark.parametrize(
    "change",
    [{"budgets": [9]}, {"selectors": ["el2n"]}, {"seeds": 4}, {"config": {"min_history": 2}}],
)
def test_the_key_of_a_comparison_has_all_its_options(change: dict[str, Any]) -> None:
    given = {"budgets": [8], "selectors": ["influence"]}
    keys = []
    for body in (given, {**given, **change}):
        comparison = ComparisonConfig.parse(body, location="comparison")
        options = JobOptions(comparison.config, 8, comparison)
        keys.append(STAGES[StageName.COMPARE].key_options(options))
    assert keys[0] != keys[1]


def test_models_of_the_catalogue_bring_their_revision_into_the_key() -> None:
    pinned = revision("smollm2-135m")
    assert pinned
    reading = {StageName.EFFORT, StageName.EMBEDDING, StageName.GRADIENTS, StageName.IFD}
    reading.add(StageName.TITLES)
    for name in (*reading, StageName.FINETUNE):
        assert STAGES[name].key_options(JobOptions(config()))["revision"] == pinned
    assert revision("/a/folder") is None


LOADING = (StageName.EFFORT, StageName.FINETUNE)


def test_the_key_of_an_adapter_is_as_it_was_when_there_was_one_recommender() -> None:
    before = "model epochs learning_rate batch_size warmup_fraction weight_decay max_gradient_norm"
    named = {*before.split(), "loss_on", "dtype", "max_tokens", "checkpoint_steps", "lora", "seed"}
    key: Any = STAGES[StageName.FINETUNE].key_options(JobOptions(config()))
    assert set(key) == {"finetune", "revision"}
    assert set(key["finetune"]) == named
    body = {"budgets": [8], "selectors": ["influence"], "scale": "full"}
    comparison = ComparisonConfig.parse(body, location="comparison")
    options = JobOptions(comparison.config, 8, comparison)
    compared: Any = STAGES[StageName.COMPARE].key_options(options)
    assert set(compared["comparison"]["config"]["finetune"]) == named


def test_the_key_of_an_encoder_has_its_options_and_no_others_own() -> None:
    before = config(finetune={"recommender": "encoder"})
    assert redone(StageName.FINETUNE, before) >= LEFT_OUT - {"effort.shard_samples"}
    assert "finetune.loss_on" not in redone(StageName.FINETUNE, before)


def test_only_an_encoder_leaves_the_language_model_as_it_is() -> None:
    lora = {"last_layers": 0}
    assert config(finetune={"recommender": "encoder", "lora": lora}).finetune is not None
    with pytest.raises(InputError, match="would train nothing"):
        config(finetune={"lora": lora})
    with pytest.raises(InputError, match="the recommenders are bigrec, encoder"):
        config(finetune={"recommender": "oracle"})


@pytest.mark.parametrize("name", StageName)
def test_every_stage_has_a_specification_a_function_and_positive_work(name: StageName) -> None:
    spec = STAGES[name]
    assert spec.name is name
    assert spec.title and spec.version >= 1 and spec.reference_seconds > 0
    assert list(signature(load_stage(name)).parameters) == ["context"]
    body = {"budgets": [8], "selectors": ["influence"]}
    comparison = ComparisonConfig.parse(body, location="comparison")
    counts = {"users": 50, "items": 20, "interactions": 400, "train": 300, "valid": 50, "test": 50}
    comparing = spec.phase is Phase.COMPARISON
    chosen = comparison.config if comparing else config()
    load = Workload(chosen, 8, comparison, 50, counts)
    assert spec.work(load).units > 0
    assert spec.shards(load) >= 1


def test_vectors_of_the_surrogate_take_a_thousandth_of_a_language_model_s() -> None:
    spec = STAGES[StageName.EMBEDDING]
    ours, theirs = (
        spec.work(Workload(config(embedding={"source": source}), 8, None, 1500, {}))
        for source in ("surrogate", "language_model")
    )
    assert (ours.units, theirs.units) == (1.5, 1500)
    assert ours.alike != theirs.alike
    assert spec.reference_seconds * ours.units < 1


@pytest.mark.parametrize("compared", [False, True])
def test_a_selector_that_trains_takes_as_long_as_its_trainings(compared: bool) -> None:
    def units(method: str, rounds: int) -> float:
        selection = {"method": method, "rounds": rounds}
        body = {"budgets": [8], "selectors": [method], "config": {"selection": selection}}
        comparison = ComparisonConfig.parse(body, location="comparison")
        spec = STAGES[StageName.COMPARE if compared else StageName.SELECT]
        chosen = comparison.config if compared else config(selection=selection)
        return spec.work(Workload(chosen, 8, comparison, 50, {"items": 20})).units

    few, more, most = (units("metagradient", rounds) for rounds in (0, 4, 8))
    assert few < more and more - few == pytest.approx(most - more)
    assert units("goracs", 4) == units("goracs", 8) < few
