"""Jobs on texts that come without ids of items: what they can do, and what is said of the rest.

Surrogate and influence are computed from the ids. Without them the language model alone can tell samples
apart, so selectors that need more are refused by name, with those that work.
"""

from typing import Any

from dealrec.config.data import Sampling, ValidationUsers
from dealrec.config.effort import EffortConfig
from dealrec.config.embedding import EmbeddingSource
from dealrec.config.prune import PruneConfig
from dealrec.config.selection import Difficulty, SelectionConfig, SelectionMethod
from dealrec.config.selectors import SELECTORS, Need, selector_needs
from dealrec.errors import FieldError, InputError

FROM_TEXTS = frozenset(
    {
        Need.EFFORT,
        Need.IFD,
        Need.EMBEDDING,
        Need.VALIDATION_EMBEDDING,
        Need.GRADIENTS,
        Need.VALIDATION_GRADIENTS,
    }
)
"""The needs of selectors that a language model meets from texts alone."""
DEFAULT = SelectionMethod.CCS
"""The selector where none is asked for: random draws over strata of effort, which is the selection of Lin et
al. (SIGIR 2024) with the influence left out of the score."""
DEFAULT_WITHOUT_EFFORT = SelectionMethod.RANDOM


def no_ids(who: str, instead: str, place: str) -> InputError:
    """Make the error for ``who`` needs ids where there are none; ``place`` is the option to change."""
    return InputError(
        f"{who} needs ids of users and items, but the data set holds texts without ids. {instead}",
        code="no_sample_ids",
        title="The samples have no ids",
        errors=[FieldError(place, "needs ids of items")],
    )


def text_selectors() -> list[SelectionMethod]:
    """List the selectors that work on texts alone, in the order of the registry."""
    return [
        method
        for method in SELECTORS
        if selector_needs(_with_difficulty(SelectionConfig(method=method))) <= FROM_TEXTS
    ]


def as_asked(config: PruneConfig) -> dict[str, Any]:
    """The configuration as JSON without the defaults that the data may replace.

    A job keeps this until its data are validated, so that they can still decide
    (:func:`for_texts`, :meth:`PruneConfig.with_default_selector`).
    """
    written = config.model_dump(mode="json")
    for part in ("selection", "titles", "embedding"):
        written[part] = getattr(config, part).model_dump(mode="json", exclude_unset=True)
    if "effort" not in config.model_fields_set:
        del written["effort"]
    return written


def for_texts(config: PruneConfig) -> PruneConfig:
    """Fill in what follows from texts without ids, and refuse what needs ids.

    Where it is not asked for otherwise, the selector is :data:`DEFAULT`, difficulty is effort, and embeddings
    are the language model's.

    Raises:
        InputError: ``no_sample_ids``; ``invalid_config`` for a selector whose effort is left out.
    """
    _require_possible(config)
    selection, left_out = config.selection, config.effort is None
    left_out &= "effort" in config.model_fields_set
    if "method" not in selection.model_fields_set:
        method = DEFAULT_WITHOUT_EFFORT if left_out else DEFAULT
        selection = selection.model_copy(update={"method": method})
    selection = _with_difficulty(selection)
    _require_selector(selection)
    needs = selector_needs(selection)
    update: dict[str, Any] = {"selection": selection}
    if Need.EMBEDDING in needs:
        update["embedding"] = config.embedding.model_copy(
            update={"source": EmbeddingSource.LANGUAGE_MODEL}
        )
        if "source" in config.embedding.model_fields_set:
            _require_language_model(config.embedding.source)
    if Need.EFFORT in needs and config.effort is None:
        if left_out:
            raise InputError(
                (
                    f"The selector `{selection.method}` needs effort scores, but `effort: null` leaves "
                    "them out."
                ),
                code="invalid_config",
                title="The configuration cannot be used",
                errors=[FieldError("config.effort", f"`{selection.method}` needs effort scores")],
            )
        update["effort"] = EffortConfig()
    return config.model_copy(update=update)


def _with_difficulty(selection: SelectionConfig) -> SelectionConfig:
    """The selection with effort as its difficulty, where it reads one and no other is asked for."""
    read = "difficulty" in SELECTORS[selection.method].parameters
    if not read or "difficulty" in selection.model_fields_set:
        return selection
    return selection.model_copy(update={"difficulty": Difficulty.EFFORT})


def _require_selector(selection: SelectionConfig) -> None:
    lacking = selector_needs(selection) - FROM_TEXTS
    if not lacking:
        return
    method, named = selection.method, ", ".join(need.value for need in Need if need in lacking)
    known = text_selectors()
    if method in known:
        raise no_ids(
            f"The difficulty `{selection.difficulty}`",
            "Use `selection.difficulty: effort`, which the language model gives.",
            "config.selection.difficulty",
        )
    listed = ", ".join(f"`{one}`" for one in known)
    raise no_ids(
        f"The selector `{method}` (it uses {named})",
        f"These selectors work: {listed}.",
        "config.selection.method",
    )


def _require_language_model(source: EmbeddingSource) -> None:
    if source is EmbeddingSource.SURROGATE:
        raise no_ids(
            "The embedding of a surrogate",
            "Use `embedding.source: language_model`.",
            "config.embedding.source",
        )


def _require_possible(config: PruneConfig) -> None:
    """Refuse what is asked for and needs ids, whatever the selector."""
    if config.evaluation is not None:
        raise no_evaluation()
    if config.audit is not None:
        raise no_ids("An audit of histories and items (`audit`)", "Leave it out.", "config.audit")
    if config.sampling not in (Sampling.AUTO, Sampling.GIVEN):
        raise no_ids(
            f"The sampling `{config.sampling}`",
            "Leave it out: each text is a sample.",
            "config.sampling",
        )
    if config.validation_users is ValidationUsers.HALF:
        raise no_ids("`validation_users: half`", "Leave it out.", "config.validation_users")
    if config.effort is not None and config.effort.candidates is not None:
        raise no_ids(
            "`effort.candidates`, which draws from strata of influence,",
            "Leave it out: effort is measured for every sample.",
            "config.effort.candidates",
        )
    if config.finetune is not None:
        require_recommender_of_texts(
            config.finetune.recommender, config.finetune.entry.needs_catalogue
        )


def no_evaluation() -> InputError:
    """Make the error for an evaluation on texts without ids."""
    return no_ids(
        "An evaluation, which measures what users choose among items,",
        (
            "Use `finetune.validation.samples`, which measures the loss on held-out texts while an "
            "adapter is trained."
        ),
        "config.evaluation",
    )


def require_recommender_of_texts(name: str, needs_catalogue: bool) -> None:
    """Raise :class:`InputError` (``no_sample_ids``) for a recommender that learns from a catalogue."""
    if needs_catalogue:
        raise no_ids(
            f"The recommender `{name}`, which learns from a catalogue,",
            "Use `bigrec`, which learns the answers of the texts.",
            "config.finetune.recommender",
        )
