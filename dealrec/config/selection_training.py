"""The selector by default, and the recommender that a selector trains while it selects.

A coreset that is chosen by a training helps most where that training is like the one that follows. So options
that a selection does not give are those of ``finetune``, where this trains the recommender ``encoder`` over a
language model that stays as it is.
"""

from typing import Any, TypeGuard, TypeVar

from dealrec.config.finetune import FinetuneConfig, HistoryVector
from dealrec.config.recommenders import ENCODER
from dealrec.config.scales import FINETUNE, Scale
from dealrec.config.selection import SelectionConfig, SelectionMethod
from dealrec.config.titles import TitlesConfig

Options = TypeVar("Options", SelectionConfig, TitlesConfig)


def default_selector(finetune: FinetuneConfig | None) -> SelectionMethod:
    """The selector for a training that follows, on data with enough validation users, if none is asked for.

    ``metagradient`` where the recommender is ``encoder`` over frozen vectors of titles: there it was better
    than random selection and than popular targets on test users (``benchmarks/PROTOCOL.md``, the second
    trial). Other trainings were not asked.
    """
    if _trains_frozen_encoder(finetune) and finetune.encoder.history is HistoryVector.TITLES:
        return SelectionMethod.METAGRADIENT
    return SelectionConfig().method


def encoder_of(selection: SelectionConfig) -> FinetuneConfig:
    """The recommender that a selection trains, as the configuration of a fine-tuning has it.

    What a selection has no option for is as in a comparison on CPUs.
    """
    preset = FINETUNE[Scale.CPU]
    encoder = preset.encoder.model_copy(
        update={
            "learning_rate": selection.training_rate,
            "temperature": selection.training_temperature,
            "decay": selection.training_decay,
            "dimensions": selection.training_dimensions,
        }
    )
    return preset.model_copy(
        update={
            "epochs": selection.training_epochs,
            "batch_size": selection.training_batch,
            "encoder": encoder,
            "seed": selection.seed,
        }
    )


def with_training_of(
    finetune: FinetuneConfig | None, selection: SelectionConfig, titles: TitlesConfig
) -> tuple[SelectionConfig, TitlesConfig]:
    """Fill in from ``finetune`` what was not given, if it trains such a recommender."""
    if not _trains_frozen_encoder(finetune):
        return selection, titles
    read = _read_by(finetune)
    if "model" in titles.model_fields_set:
        del read["model"], read["dtype"]
    return _filled(selection, _trained_by(finetune)), _filled(titles, read)


def without_training_of(
    finetune: FinetuneConfig | None, selection: SelectionConfig, titles: TitlesConfig
) -> tuple[SelectionConfig, TitlesConfig]:
    """Undo :func:`with_training_of` where no selector trains after all."""
    if not _trains_frozen_encoder(finetune):
        return selection, titles
    return _emptied(selection, _trained_by(finetune)), _emptied(titles, _read_by(finetune))


def _trained_by(finetune: FinetuneConfig) -> dict[str, Any]:
    encoder = finetune.encoder
    return {
        "training_epochs": finetune.epochs,
        "training_batch": finetune.batch_size,
        "training_rate": encoder.learning_rate,
        "training_temperature": encoder.temperature,
        "training_decay": encoder.decay,
        "training_dimensions": encoder.dimensions,
    }


def _read_by(finetune: FinetuneConfig) -> dict[str, Any]:
    return {
        "pooling": finetune.encoder.pooling,
        "max_tokens": finetune.max_tokens,
        "model": finetune.model,
        "dtype": finetune.dtype,
    }


def _trains_frozen_encoder(finetune: FinetuneConfig | None) -> TypeGuard[FinetuneConfig]:
    return (
        finetune is not None and finetune.recommender == ENCODER and finetune.lora.last_layers == 0
    )


def _filled(options: Options, values: dict[str, Any]) -> Options:
    given = options.model_fields_set
    return options.model_copy(update={name: values[name] for name in values.keys() - given})


def _emptied(options: Options, values: dict[str, Any]) -> Options:
    fields = type(options).model_fields
    filled = {
        name: fields[name].default for name in values if getattr(options, name) == values[name]
    }
    return options.model_copy(update=filled)
