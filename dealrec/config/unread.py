"""Options that were changed and have no effect, because what was chosen does not read them."""

from collections.abc import Iterable, Iterator, Set

from dealrec.config.base import Config
from dealrec.config.comparison import ComparisonConfig
from dealrec.config.effort import EffortParameters, TokenOptions
from dealrec.config.embedding import EmbeddingSource
from dealrec.config.influence import InfluenceConfig, RiskTarget, Solver
from dealrec.config.prune import PruneConfig
from dealrec.config.recommenders import RECOMMENDERS
from dealrec.config.selection import SelectionConfig
from dealrec.config.selectors import SELECTORS, Need, selector_needs
from dealrec.config.surrogate import SURROGATES, SurrogateConfig, SurrogateLoss
from dealrec.errors import FieldError

_OF_SELECTION = "config.selection"


class OptionWarning(UserWarning):
    """An option that has no effect, or not the one that is expected of it."""


def told(found: FieldError) -> str:
    """The warning as a sentence."""
    return f"`{found.location}` {found.message}."


def config_warnings(
    config: PruneConfig, budget: int | None = None, *, has_ids: bool = True
) -> list[FieldError]:
    """Find options that have no effect, and strata that outnumber the ``budget`` (samples), if it is known.

    ``has_ids`` is false for texts without ids, of which there is neither surrogate nor influence.
    Only options that differ from their defaults are found; a configuration that was filled in with
    defaults is told from no other.
    """
    return [
        *_of_scores(config, selector_needs(config.selection), f"`{config.selection.method}`"),
        *([] if has_ids else _of_ids(config)),
        *selection_warnings(config.selection, budget),
    ]


def selection_warnings(
    selection: SelectionConfig, budget: int | None, location: str = _OF_SELECTION
) -> list[FieldError]:
    """Find options without effect like :func:`config_warnings`, for a selection alone."""
    read = {"method", *SELECTORS[selection.method].parameters}
    why = f"has no effect: the selector `{selection.method}` does not use it"
    found = _changed(selection, location, set(SelectionConfig.model_fields) - read, why)
    return [*found, *_strata(selection, budget, location)]


def comparison_warnings(comparison: ComparisonConfig) -> list[FieldError]:
    """Find options like :func:`config_warnings` that no selector of a comparison uses."""
    config = comparison.config
    methods = [selector.method for selector in comparison.selectors]
    read = {"method", "seed"}.union(*(SELECTORS[method].parameters for method in methods))
    if config.effort is None:
        read.add("effort_weight")  # it is 0 then
    unread = set(SelectionConfig.model_fields) - read
    why = "has no effect: none of the selectors uses it"
    found = [
        *_of_scores(config, comparison.needs(), "none of the selectors"),
        *_changed(config.selection, _OF_SELECTION, unread if methods else set(), why),
    ]
    counts = [budget for budget in comparison.budgets if isinstance(budget, int)]
    for place, selector in enumerate(comparison.selectors):
        if selector.added:
            continue
        where = f"selectors.{place}.selection"
        own = {*selector.selection} - {*SELECTORS[selector.method].parameters}
        why = f"has no effect: the selector `{selector.method}` does not use it"
        found += [FieldError(f"{where}.{name}", why) for name in sorted(own)]
        found += _strata(comparison.selection(selector), min(counts, default=None), where)
    return found


def _strata(selection: SelectionConfig, budget: int | None, location: str) -> Iterator[FieldError]:
    entry = SELECTORS[selection.method]
    if budget is None or "strata" not in entry.parameters:
        return
    strata = selection.strata
    words = f"{strata:,}"
    if "length_strata" in entry.parameters:
        strata *= selection.length_strata
        words += f" × {selection.length_strata:,}"
    if strata > budget:
        yield FieldError(
            f"{location}.strata",
            f"gives {words} strata, more than the budget of {budget:,} samples, so some strata give no "
            "sample; use fewer strata or a larger budget to represent all of them",
        )


def _of_scores(config: PruneConfig, needs: Set[Need], who: str) -> Iterator[FieldError]:
    """Find options of everything but the selection, whose selector is called ``who``."""
    used = "does not use" if who.startswith("`") else "uses"
    subject = f"the selector {who}" if who.startswith("`") else who
    for name, options, wanted in (
        ("embedding", config.embedding, {Need.EMBEDDING, Need.VALIDATION_EMBEDDING}),
        ("gradients", config.gradients, {Need.GRADIENTS, Need.VALIDATION_GRADIENTS}),
        ("ifd", config.ifd, {Need.IFD}),
        ("titles", config.titles, {Need.TITLES}),
    ):
        if not wanted & needs:
            why = f"has no effect on this selection: {subject} {used} it"
            yield from _changed(options, f"config.{name}", set(type(options).model_fields), why)
    if config.embedding.source is EmbeddingSource.SURROGATE and Need.EMBEDDING in needs:
        why = "has no effect: the embeddings come from the surrogate (`config.embedding.source`)"
        yield from _changed(config.embedding, "config.embedding", {*TokenOptions.model_fields}, why)
    yield from _of_surrogate(config.surrogate)
    yield from _of_influence(config.influence)
    effort = config.effort
    if effort is not None and effort.parameters not in (
        EffortParameters.LORA_B,
        EffortParameters.LORA,
    ):
        why = "has no effect: `config.effort.parameters` is neither `lora_b` nor `lora`"
        yield from _changed(effort, "config.effort", {"lora_rank", "lora_alpha"}, why)
    yield from _of_training(config)


def _of_ids(config: PruneConfig) -> Iterator[FieldError]:
    why = "has no effect: the data set holds texts without ids of items"
    for name, part, known in (
        ("surrogate", config.surrogate, set()),
        ("influence", config.influence, {"target"}),  # the data decide about it
        ("prompt", config.prompt, {"format"}),
    ):
        yield from _changed(part, f"config.{name}", {*type(part).model_fields} - known, why)


def _of_surrogate(surrogate: SurrogateConfig) -> Iterator[FieldError]:
    entry = SURROGATES.get(surrogate.model)
    if entry is not None:
        why = f"has no effect: the surrogate `{surrogate.model}` does not use it"
        own = {name for other in SURROGATES.values() for name in other.parameters}
        yield from _changed(surrogate, "config.surrogate", own - {*entry.parameters}, why)
    drawn = surrogate.loss in (SurrogateLoss.SAMPLED_SOFTMAX, SurrogateLoss.GBCE)
    unread = set() if drawn else {"negatives"}
    if surrogate.loss is not SurrogateLoss.GBCE:
        unread.add("calibration")
    why = f"has no effect: the loss `{surrogate.loss}` does not use it"
    yield from _changed(surrogate, "config.surrogate", unread, why)


def _of_influence(influence: InfluenceConfig) -> Iterator[FieldError]:
    if influence.target is not RiskTarget.RECENT:
        why = "has no effect: `config.influence.target` is not `recent`"
        yield from _changed(influence, "config.influence", {"recent"}, why)
    if influence.solver is not Solver.LISSA:
        why = "has no effect: `config.influence.solver` is not `lissa`"
        yield from _changed(influence, "config.influence", {"minibatches"}, why)


def _of_training(config: PruneConfig) -> Iterator[FieldError]:
    finetune = config.finetune
    if finetune is None:
        return
    own = {name for entry in RECOMMENDERS.values() for name in entry.parameters}
    why = f"has no effect: the recommender `{finetune.recommender}` does not use it"
    unread = own - {*finetune.entry.parameters}
    yield from _changed(finetune, "config.finetune", unread, why)
    if not finetune.validation.samples:
        why = "has no effect: `config.finetune.validation.samples` is 0"
        unread = {"which", "every_steps", "keep_best"}
        yield from _changed(finetune.validation, "config.finetune.validation", unread, why)


def _changed(
    options: Config, location: str, names: Iterable[str], why: str
) -> Iterator[FieldError]:
    """Report those of the fields ``names`` that differ from their defaults, in the order of the fields."""
    given = {"model": options.model} if isinstance(options, TokenOptions) else {}
    default = type(options)(**given)  # the catalogue may have defaults for the model
    for name, field in type(options).model_fields.items():
        before = (
            field.get_default(call_default_factory=True)
            if name in given
            else getattr(default, name)
        )
        if name in names and getattr(options, name) != before:
            yield FieldError(f"{location}.{name}", why)
