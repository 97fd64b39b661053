"""The fields of the job form, which come from the configuration's models."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dealrec.app.console.presets import MEASURED_BRIEFLY
from dealrec.config import PruneConfig, SelectionConfig
from dealrec.config.language_models import DEFAULT_MODEL
from dealrec.config.recommenders import RECOMMENDERS
from dealrec.config.selectors import SELECTORS, Need
from dealrec.config.stages import STAGES
from dealrec.config.surrogate import SURROGATES
from dealrec.errors import FieldError, InputError

_MAIN = frozenset(
    {
        "sampling",
        "min_history",
        "prompt.item_noun",
        "prompt.history_items",
        "prompt.template",
        "prompt.format",
        "surrogate.model",
        "surrogate.epochs",
        "surrogate.hidden_size",
        "influence.target",
        "influence.parameters",
        "effort.model",
        "effort.parameters",
        "effort.candidates",
        "selection.method",
        "selection.effort_weight",
        "selection.strata",
        "selection.hard_prune",
        "selection.rounds",
        "selection.seed",
        "titles.validation_users",
        "finetune.model",
        "finetune.recommender",
        "finetune.epochs",
        "finetune.learning_rate",
        "finetune.lora.rank",
        "evaluation.split",
        "evaluation.users",
        "evaluation.candidates",
        "evaluation.ranking_users",
    }
)
"""The fields that are shown at once; the others are folded."""
_LEFT_OUT = frozenset({"effort.adapter", "gradients.adapter", "influence.target_samples"})
"""Fields that no form has: paths that a server refuses, and lists of thousands of keys."""
_CHOICES = {
    "surrogate.model": list(SURROGATES),
    "finetune.recommender": list(RECOMMENDERS),
}
_LONG = 2000
"""The characters from which on a text is one of several lines."""
_OF_THE_MODEL = ("dtype", "quantization")
"""Options for which the catalogue may have a default: a form leaves them to the language model."""
_BOOLEAN = {"boolean": ["true", "false"]}
_LABELS = {
    "sampling": "One sample per",
    "min_history": "Shortest history (items)",
    "prompt.item_noun": "Word for an item",
    "prompt.history_items": "Items in the history",
    "surrogate.model": "Kind of recommender",
    "surrogate.hidden_size": "Width of the recommender",
    "influence.target": "Whose risk is measured",
    "influence.parameters": "Parameters of the surrogate",
    "effort.model": "Language model",
    "effort.parameters": "Parameters of the language model",
    "effort.candidates": "Samples to measure",
    "selection.effort_weight": "Effort weight λ",
    "selection.strata": "Strata K",
    "selection.hard_prune": "Share of highest scores to drop",
    "selection.rounds": "Rounds of exchanges",
    "titles.validation_users": "Users to aim at",
    "finetune.model": "Language model",
    "finetune.lora.rank": "Rank of the LoRA",
    "evaluation.split": "Held-out split",
    "evaluation.users": "Users to evaluate",
    "evaluation.candidates": "Titles to choose from",
    "evaluation.ranking_users": "Users with a full ranking",
    "continuation.surrogate_epochs": "Further epochs of the surrogate",
    "continuation.surrogate_replay": "Share of unchanged users it learns again",
    "continuation.coreset": "The new coreset",
    "continuation.replaced_share": "Share to replace",
    "continuation.adapter": "If an adapter is trained",
    "continuation.replay": "Share of kept samples to learn again",
}
"""The labels of fields whose names alone would not tell a newcomer enough."""
_WORDS = {
    "continuation.coreset": {
        "anew": "is selected from scratch",
        "top_up": "keeps all earlier samples and adds new ones",
        "replace": "keeps the earlier samples but replaces a share of them",
    },
    "continuation.adapter": {"false": "start with a fresh one", "true": "continue the earlier one"},
}
"""Choices in words, where the values alone would not tell a newcomer enough."""
_PARTS = {
    "": ("Samples", "What counts as one sample."),
    "prompt": ("Prompt", "How a sample is put into words."),
    **{spec.part: (spec.title, spec.summary) for spec in STAGES.values() if spec.part},
}
_OPTIONAL = {spec.part: spec.switch for spec in STAGES.values() if spec.switch}
"""The optional parts, and the label of the box that switches each on."""
_NEEDED = {
    spec.part: spec.makes
    for spec in STAGES.values()
    if spec.part and spec.makes and not spec.always
}


ConfigTree = dict[str, "ConfigTree | list[str] | str | None"]
"""A part of the configuration as texts of a form, which pydantic reads and validates."""


@dataclass(frozen=True)
class FormField:
    """One input; ``name`` is the dotted place in the configuration."""

    name: str
    label: str
    kind: str
    """``choice``, ``integer``, ``number``, ``list``, ``text``, or ``lines`` of text."""
    value: str
    default: str
    main: bool
    optional: bool
    help: str = ""
    """The first paragraph of the field's description in the configuration."""
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    read_by: tuple[str, ...] = ()
    """The selectors that read the field; empty for fields outside the selection."""

    @property
    def option(self) -> str:
        """The option's name, as people write it for the command line and the API."""
        return self.name.removeprefix("options.")

    @property
    def words(self) -> Mapping[str, str]:
        """Choices in words, by their values; those that say enough are left out."""
        return _WORDS.get(self.name, {})


@dataclass(frozen=True)
class FormPart:
    """The fields of a stage; ``enabled`` is null for a part that every job has."""

    name: str
    title: str
    summary: str
    enabled: bool | None
    switch: str
    """The label of the box that enables the part; empty for a part that every job has."""
    fields: tuple[FormField, ...]
    needed_by: tuple[str, ...] = ()
    """The selectors that need the part, if only some do."""


def job_form(
    given: Mapping[str, str] | None = None, models: Iterable[str] = (DEFAULT_MODEL,)
) -> list[FormPart]:
    """Return every part of the configuration, with ``given`` over the defaults.

    ``models`` are the language models that can be chosen.
    """
    everything = PruneConfig.parse({name: {} for name in _OPTIONAL})
    defaults = dict(_flat(everything.model_dump(mode="json")))
    choices = {name: list(models) for name in defaults if _names_language_model(name)}
    fields = list(
        fields_of(
            PruneConfig.model_json_schema(), "", defaults, given or {}, {**_CHOICES, **choices}
        )
    )
    parts = []
    for name, (title, summary) in _PARTS.items():
        own = [field for field in fields if _part_of(field.name) == name]
        enabled = None
        if name in _OPTIONAL:
            enabled = given is not None and f"use.{name}" in given
        needed_by = _needed_by(_NEEDED[name]) if name in _NEEDED else ()
        switch = _OPTIONAL.get(name, "")
        parts.append(FormPart(name, title, summary, enabled, switch, tuple(own), needed_by))
    return parts


def form_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the form for ``config``, a whole configuration or a part of one."""
    form = {name: _text(value) for name, value in _flat(config)}
    return form | {f"use.{name}": "1" for name in _OPTIONAL if config.get(name) is not None}


def selection_fields(selection: Mapping[str, Any]) -> list[FormField]:
    """Return the selection's fields with the values of a coreset."""
    given = dict(flat_texts({"selection": selection}))
    defaults = {
        f"selection.{key}": value
        for key, value in SelectionConfig().model_dump(mode="json").items()
    }
    return list(fields_of(SelectionConfig.model_json_schema(), "selection.", defaults, given))


def finetune_fields(models: Iterable[str] = (DEFAULT_MODEL,)) -> list[FormField]:
    """Return the fields of a training on a coreset with their defaults, and ``models`` to choose from."""
    parts = job_form(models=models)
    return next(list(part.fields) for part in parts if part.name == "finetune")


def evaluation_fields() -> list[FormField]:
    """Return the fields of an evaluation that takes minutes on a CPU."""
    form = form_of_preset({"evaluation": MEASURED_BRIEFLY})
    return next(list(part.fields) for part in job_form(form) if part.name == "evaluation")


def form_of_preset(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the form for the part of a configuration that a preset names, with the defaults."""
    brief = {f"evaluation.{name}": str(users) for name, users in MEASURED_BRIEFLY.items()}
    whole, named = form_of(PruneConfig.parse(config).model_dump(mode="json")), form_of(config)
    return brief | {n: text for n, text in whole.items() if n in named or not _left_to_model(n)}


def read_config(form: Mapping[str, str]) -> ConfigTree:
    """Read the configuration of a sent form; pydantic validates it."""
    wanted = [
        field
        for part in job_form(form)
        for field in part.fields
        if part.name not in _OPTIONAL or part.enabled
    ]
    config = read_fields(form, wanted)
    for name in _OPTIONAL:
        config[name] = _inner(config, name) if f"use.{name}" in form else None
    return config


def read_finetune(form: Mapping[str, str]) -> ConfigTree:
    """Read the options of a training on a coreset, and of its evaluation, from a sent form."""
    config = _inner(read_fields(form, finetune_fields()), "finetune")
    if "use.evaluation" in form:
        config["evaluation"] = _inner(read_fields(form, evaluation_fields()), "evaluation")
    return config


def read_fields(form: Mapping[str, str], fields: Iterable[FormField]) -> ConfigTree:
    """Read the texts of some fields into the tree that their dotted names say."""
    config: ConfigTree = {}
    for field in fields:
        if field.name not in form:
            continue
        place = config
        *above, last = field.name.split(".")
        for name in above:
            place = _inner(place, name)
        text = form[field.name].strip()
        if field.kind == "lines" and text:
            # Spaces at the ends belong to it; browsers send CR and LF.
            text = form[field.name].replace("\r\n", "\n")
        if field.kind == "list":
            place[last] = [word.strip() for word in text.split(",") if word.strip()]
        elif text or (field.kind == "text" and not field.optional):
            place[last] = text
        elif field.optional:
            place[last] = None
    return config


def _inner(config: ConfigTree, name: str) -> ConfigTree:
    """The part ``name`` of the configuration, added if it is missing."""
    part = config.setdefault(name, {})
    assert isinstance(part, dict)
    return part


def read_budget(form: Mapping[str, str]) -> str:
    """Read the budget's text for the API: a count, or a percentage as a fraction.

    Raises :class:`InputError` (``invalid_budget``).
    """
    text = form.get("budget", "").strip().replace(",", "").rstrip("%")
    if form.get("budget_unit") != "percent":
        return text
    try:
        return repr(float(f"{float(text) / 100:.12g}"))
    except ValueError:
        raise InputError(
            "The budget is not a number.",
            code="invalid_budget",
            title="The budget cannot be used",
            errors=[FieldError("budget", "must be a percentage above 0 and below 100")],
        ) from None


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def flat_texts(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give every value of a configuration as its text in a form, under its dotted name."""
    return ((name, _text(value)) for name, value in _flat(values))


def _needed_by(needs: frozenset[Need]) -> tuple[str, ...]:
    return tuple(entry.method.value for entry in SELECTORS.values() if needs & {*entry.needs})


def _read_by(option: str) -> tuple[str, ...]:
    return tuple(entry.method.value for entry in SELECTORS.values() if option in entry.parameters)


def _part_of(name: str) -> str:
    head, dot, _ = name.partition(".")
    return head if dot else ""


def _names_language_model(name: str) -> bool:
    return name.endswith(".model") and name not in _CHOICES


def _left_to_model(name: str) -> bool:
    return name.rpartition(".")[2] in _OF_THE_MODEL


def fields_of(
    schema: Mapping[str, Any],
    prefix: str,
    defaults: Mapping[str, Any],
    given: Mapping[str, str],
    known: Mapping[str, list[str]] = _CHOICES,
) -> Iterator[FormField]:
    """Make a field of each property of the JSON Schema ``schema``, whose names begin with ``prefix``.

    ``known`` has the choices of fields that the schema does not list.
    """
    definitions = schema.get("$defs", {})
    for name, written in schema["properties"].items():
        place = f"{prefix}{name}"
        options = [_resolve(option, definitions) for option in written.get("anyOf", [written])]
        kinds = [option for option in options if option.get("type") != "null"]
        if place in _LEFT_OUT or not kinds:
            continue
        kind, optional = kinds[0], len(kinds) < len(options)
        if "properties" in kind:
            inner = {**kind, "$defs": definitions}
            yield from fields_of(inner, f"{place}.", defaults, given, known)
            continue
        written_default = _text(defaults.get(place, written.get("default")))
        default = "" if _left_to_model(place) else written_default
        choices = known.get(place) or kind.get("enum") or _BOOLEAN.get(kind["type"], [])
        if choices and (optional or _left_to_model(place)):
            choices = ["", *choices]
        yield FormField(
            name=place,
            label=_LABELS.get(place, name.replace("_", " ").capitalize()),
            kind=_kind(kind, choices),
            value=given.get(place, default),
            default=default,
            main=place in _MAIN,
            optional=optional,
            help=_plain(written.get("description", "")),
            choices=tuple(choices),
            low=kind.get("minimum", kind.get("exclusiveMinimum")),
            high=kind.get("maximum"),
            read_by=_read_by(name) if prefix == "selection." else (),
        )


def _resolve(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return schema if reference is None else definitions[reference.rsplit("/", 1)[-1]]


def _kind(schema: Mapping[str, Any], choices: list[str]) -> str:
    if choices:
        return "choice"
    if schema.get("maxLength", 0) >= _LONG:
        return "lines"
    return {"integer": "integer", "number": "number", "array": "list"}.get(schema["type"], "text")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else str(value)


def _plain(description: str) -> str:
    return " ".join(description.split("\n\n", maxsplit=1)[0].replace("`", "").split())
