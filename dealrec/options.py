"""Options that several commands share, and the configuration that they make."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from dealrec.config import DataOptions, SplitMethod, data_options, parse_budget
from dealrec.config.comparison import ComparisonConfig
from dealrec.config.comparison_options import ComparisonOptions
from dealrec.config.continuation import Carry, Continuation
from dealrec.config.scales import Scale
from dealrec.disk import local_file
from dealrec.errors import FieldError, InputError

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ConfigOption = Annotated[Path | None, typer.Option(help="JSON file with the configuration.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help=(
            "Set one option, such as selection.strata=25, or data.split=leave_one_out for the data. Can "
            "be repeated."
        ),
    ),
]
_INTERACTIONS = typer.Argument(
    help=(
        "The interactions: a file in any supported format, a folder, several files, or an address such as "
        "s3://…."
    )
)
InteractionsArgument = Annotated[list[str], _INTERACTIONS]
InteractionsOrSamples = Annotated[list[str] | None, _INTERACTIONS]
SamplesOption = Annotated[
    Path | None,
    typer.Option(
        help="Ready texts instead of texts made from interactions: JSON Lines, JSON, Parquet or CSV "
        "with messages, or with prompt and completion; also sample_id, user_id, history and "
        "target if the texts have ids."
    ),
]
AppendOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--append",
        help="A file of later interactions. Each file makes one version, in the given order; files "
        "that the work folder already holds are not read again.",
    ),
]
AppendItemsOption = Annotated[
    Path | None, typer.Option(help="A file of new items, appended with the last --append or alone.")
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        help="How many samples to keep: a number, or a share such as 2%; or give --target."
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        help=(
            "Instead of a budget: the share of what all samples teach, such as '95 % of full'. Needs "
            "--target-from."
        )
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OURS=THEIRS",
        help="The name of a column in your file, such as user_id=customer. Can be repeated.",
    ),
]
TrackOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TRACKER",
        help="Record training curves and options in mlflow:URI, tensorboard:FOLDER or wandb:FOLDER. "
        "Can be repeated.",
    ),
]

_OF_COMPARISON = ComparisonConfig.model_fields


def compared_by(
    budget: Annotated[
        str,
        typer.Option(
            help="The budgets, separated by commas, as counts or shares: 256,5%. Not needed with --curve."
        ),
    ] = "",
    selectors: Annotated[
        str,
        typer.Option(
            help="The selectors, separated by commas; by default those that a job has by default. The "
            "controls are always added."
        ),
    ] = "",
    curve: Annotated[
        str,
        typer.Option(
            help="Budgets at which random selections are trained on, to show how many samples are enough."
        ),
    ] = "",
    seeds: Annotated[
        int, typer.Option(min=2, help="Runs of each selector at each budget. A verdict needs 5.")
    ] = _OF_COMPARISON["seeds"].default,
    smallest_effect: Annotated[
        float,
        typer.Option(
            help="The smallest difference that matters to you, in nats. A smaller one counts as a tie."
        ),
    ] = _OF_COMPARISON["smallest_effect"].default,
    full_data_runs: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Trainings on all samples, which show whether there is anything to learn; default: "
            f"{_OF_COMPARISON['full_data_runs'].default}, with --curve as many as --seeds.",
        ),
    ] = None,
    full_data_samples: Annotated[
        str | None,
        typer.Option(
            help="How many samples the trainings on all samples use, if all would be too many."
        ),
    ] = None,
    despite_no_headroom: Annotated[
        bool,
        typer.Option(
            "--despite-no-headroom",
            help="Continue even if training on all samples does not teach the model to recommend.",
        ),
    ] = False,
    scale: Annotated[
        Scale,
        typer.Option(
            help=(
                "cpu trains a projection on top of the frozen model and takes minutes; full trains every "
                "layer and needs a GPU."
            )
        ),
    ] = Scale.CPU,
) -> ComparisonOptions:
    """Read the options of a command that compares selectors, those that were given.

    Raises:
        InputError: ``invalid_budget``.
    """
    found: ComparisonOptions = {
        "budgets": [parse_budget(text) for text in _listed(budget)],
        "selectors": _listed(selectors),
        "seeds": seeds,
        "smallest_effect": smallest_effect,
        "despite_no_headroom": despite_no_headroom,
        "scale": scale,
    }
    if curve:
        found["curve"] = [parse_budget(text) for text in _listed(curve)]
    if full_data_runs is not None:
        found["full_data_runs"] = full_data_runs
    if full_data_samples is not None:
        found["full_data_samples"] = parse_budget(full_data_samples)
    return found


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def configuration(path: Path | None, assignments: Sequence[str]) -> dict[str, Any]:
    """Read the configuration file, and apply the ``--set`` assignments to its object.

    Raises:
        InputError: ``no_such_file``, ``invalid_json`` or ``invalid_option``.
    """
    settings: dict[str, Any] = {}
    if path is not None:
        try:
            loaded = json.loads(local_file(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(
                f"{path} cannot be read as JSON: {error}", code="invalid_json"
            ) from None
        if not isinstance(loaded, dict):
            raise InputError(f"{path} does not hold a JSON object.", code="invalid_json")
        settings = loaded
    for assignment in assignments:
        key, text = pair(assignment, "--set")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        *parents, last = key.split(".")
        place = settings
        for parent in parents:
            inner = place.get(parent)
            place[parent] = dict(inner) if isinstance(inner, Mapping) else {}
            place = place[parent]
        place[last] = value
    return settings


def pair(text: str, option: str) -> tuple[str, str]:
    """Split ``NAME=VALUE`` into name and value.

    Raises:
        InputError: ``invalid_option``.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(
            f"{option} takes NAME=VALUE, not {text!r}.",
            code="invalid_option",
            errors=[FieldError(option, "has no `=`")],
        )
    return name, value


@dataclass(frozen=True)
class Asked:
    """What a command that reads data is asked for besides its own arguments."""

    config: dict[str, Any]
    """The configuration of the job, not yet checked."""
    data: DataOptions
    """How the files become a data set."""


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the configuration and of the data, which it takes as ``asked``."""
    return _taking(command, "asked", asked_for)


@dataclass(frozen=True)
class GoingOn:
    """The earlier result that a command goes on from, if there is one, and how."""

    folder: Path | None
    options: Continuation


def continues(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a continuation, which it takes as ``continued``."""
    return _taking(command, "continued", continued_by)


def continued_by(
    continue_from: Annotated[
        Path | None,
        typer.Option(
            help="Folder of an earlier result to continue from: the surrogate starts from its earlier "
            "weights, and effort is measured only for new texts."
        ),
    ] = None,
    carry: Annotated[
        Carry | None,
        typer.Option(
            help=(
                "What happens to the earlier coreset: anew (default; select from scratch), top_up (keep "
                "it and add samples) or replace (replace a share of it)."
            )
        ),
    ] = None,
    replaced_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="For --carry replace: the share of the budget that goes to new samples; default: 0.2.",
        ),
    ] = None,
    continued_epochs: Annotated[
        int | None,
        typer.Option(min=1, help="The number of further epochs of the surrogate; default: 1."),
    ] = None,
    surrogate_replay: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="The share of the users without new rows that the surrogate learns again; default: 1.",
        ),
    ] = None,
    carry_adapter: Annotated[
        bool, typer.Option("--carry-adapter", help="Continue training the earlier adapter.")
    ] = False,
    replay: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="With --carry-adapter: the share of the kept samples that are learned again; default: 1.",
        ),
    ] = None,
) -> GoingOn:
    """Read how a command goes on from an earlier result.

    Raises:
        InputError: ``invalid_option`` for an option without ``--continue-from``.
    """
    given = {
        "coreset": carry,
        "replaced_share": replaced_share,
        "surrogate_epochs": continued_epochs,
        "surrogate_replay": surrogate_replay,
        "adapter": carry_adapter or None,
        "replay": replay,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    if asked and continue_from is None:
        raise InputError(
            "--carry, --replaced-share, --continued-epochs, --surrogate-replay, --carry-adapter and "
            "--replay need --continue-from FOLDER.",
            code="invalid_option",
        )
    return GoingOn(continue_from, Continuation.parse(asked, location="continuation"))


def compares(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a comparison, which it takes as ``compared``."""
    return _taking(command, "compared", compared_by)


def _taking(
    command: Callable[..., None], name: str, read: Callable[..., Any]
) -> Callable[..., None]:
    """Give ``command`` the options of ``read``, whose result it takes as ``name``."""

    @wraps(command)
    def run(*args: Any, **given: Any) -> None:
        mine = {option: given.pop(option) for option in offered}
        command(*args, **{name: read(**mine)}, **given)

    own = [
        parameter
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != name
    ]
    offered = inspect.signature(read, eval_str=True).parameters
    first = [p for p in own if p.default is p.empty]
    rest = [p for p in own if p.default is not p.empty]
    parameters = [
        parameter.replace(kind=parameter.KEYWORD_ONLY)
        for parameter in (*first, *offered.values(), *rest)
    ]
    run.__dict__["__signature__"] = inspect.Signature(parameters, return_annotation=None)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def asked_for(
    config: ConfigOption = None,
    set_: SetOption = None,
    column: ColumnOption = None,
    split: Annotated[
        SplitMethod | None,
        typer.Option(help="How the data are split into training, validation and test."),
    ] = None,
    allow_rejected: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="The share of rows that may be unusable before the file is rejected; default: 0.05.",
        ),
    ] = None,
) -> Asked:
    """Read the configuration, whose part ``data`` and the options beside it say how files are read.

    Raises:
        InputError: ``invalid_json``, ``invalid_option`` or ``invalid_config``.
    """
    settings = configuration(config, set_ or [])
    data = settings.pop("data", {})
    if not isinstance(data, Mapping):
        raise InputError("`data` in the configuration must be an object.", code="invalid_config")
    columns = dict(pair(text, "--column") for text in column or []) or None
    options = data_options(data, columns=columns, split=split, allowed_rejected=allow_rejected)
    return Asked(settings, options)
