"""A selector that trains does so as the training that follows, unless it is told otherwise."""

from dealrec.config import ComparisonConfig, PruneConfig, SelectionConfig
from dealrec.config.scales import FINETUNE, Scale
from dealrec.config.selection_training import encoder_of
from dealrec.config.titles import TitlesConfig

ENCODER = {
    "recommender": "encoder",
    "model": "smollm2-360m",
    "epochs": 7,
    "batch_size": 64,
    "max_tokens": 32,
    "lora": {"last_layers": 0},
    "encoder": {
        "history": "titles",
        "softmax": "batch",
        "pooling": "last",
        "dimensions": 64,
        "temperature": 0.1,
        "decay": 0.5,
        "learning_rate": 1e-3,
    },
}
TRAINED = {
    "training_epochs": 7,
    "training_batch": 64,
    "training_rate": 1e-3,
    "training_temperature": 0.1,
    "training_decay": 0.5,
    "training_dimensions": 64,
}
READ = {"model": "smollm2-360m", "max_tokens": 32, "pooling": "last"}


def compared(**config):
    return ComparisonConfig.parse(
        {"budgets": [8], "selectors": ["metagradient"], "config": config}, location="comparison"
    )


def pruned(method="metagradient", **config):
    selection = {"method": method, **config.pop("selection", {})}
    return PruneConfig.parse({**config, "selection": selection})


def test_by_default_it_trains_what_a_comparison_on_cpus_trains():
    assert encoder_of(SelectionConfig()) == FINETUNE[Scale.CPU]
    asked = compared()
    (selector,) = (one for one in asked.selectors if one.method == "metagradient")
    assert encoder_of(asked.selection(selector, 7)) == asked.planned((8,))[-1].finetune
    assert asked.config.titles.model == asked.config.finetune.model


def test_it_trains_as_the_training_that_follows():
    asked = compared(finetune=ENCODER)
    (selector,) = (one for one in asked.selectors if one.method == "metagradient")
    for config, selection in (
        (asked.config, asked.selection(selector)),
        (pruned(finetune=ENCODER), pruned(finetune=ENCODER).selection),
    ):
        assert TRAINED.items() <= selection.model_dump().items()
        assert READ.items() <= config.titles.model_dump(mode="json").items()
        trained = encoder_of(selection)
        assert (trained.epochs, trained.batch_size) == (7, 64)
        assert trained.encoder.model_copy(update={"pooling": "last"}) == config.finetune.encoder


def test_what_is_given_holds():
    config = pruned(
        finetune=ENCODER,
        selection={"training_epochs": 3},
        titles={"model": "smollm2-135m", "max_tokens": 48},
    )
    assert (config.selection.training_epochs, config.selection.training_batch) == (3, 64)
    assert config.titles == TitlesConfig(model="smollm2-135m", max_tokens=48, pooling="last")
    stored = PruneConfig.parse({**config.model_dump(mode="json"), "finetune": {"epochs": 9}})
    assert stored.selection == config.selection and stored.titles == config.titles


def test_another_recommender_or_selector_changes_nothing():
    default = SelectionConfig().model_dump(exclude={"method"})
    for config in (pruned(finetune={"epochs": 3}), pruned("random", finetune=ENCODER)):
        assert config.selection.model_dump(exclude={"method"}) == default
        assert config.titles == TitlesConfig()


def defaulted(*, can_aim=True, **config):
    return PruneConfig.parse(config).with_default_selector(can_aim=can_aim)


def test_it_is_the_default_before_the_training_that_it_was_tried_for():
    found = defaulted(finetune=ENCODER)
    assert found.selection.method == "metagradient"
    assert {name: getattr(found.selection, name) for name in TRAINED} == TRAINED
    assert {name: getattr(found.titles, name) for name in READ} == READ


def test_it_is_no_default_elsewhere():
    usual = SelectionConfig().method
    by_prompt = {**ENCODER, "encoder": {"history": "prompt"}}
    adapted = {"recommender": "encoder", "lora": {"last_layers": 2}}
    for finetune in (None, {}, by_prompt, adapted):
        assert defaulted(finetune=finetune).selection.method == usual
    assert defaulted(finetune=ENCODER, can_aim=False).selection.method == usual
    asked = defaulted(finetune=ENCODER, selection={"method": "random"})
    assert asked.selection.method == "random"
