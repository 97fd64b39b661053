"""The ``dealrec`` command, and those of its subcommands that need no server."""

import gc
import os
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from dealrec.client.append_cli import register as register_append
from dealrec.client.cli import register as register_client
from dealrec.client.comparison_cli import register as register_comparisons
from dealrec.client.control_cli import register as register_control
from dealrec.client.schedule_cli import register as register_schedules
from dealrec.client.selection_cli import register as register_selections
from dealrec.client.status_cli import register as register_status
from dealrec.client.webhook_cli import register as register_webhooks
from dealrec.compare_cli import compare_command
from dealrec.config import FinetuneConfig, PruneConfig, parse_budget
from dealrec.config.prompt import PromptFormat
from dealrec.config.runtime import yielding_environment
from dealrec.config.stages import StageName
from dealrec.config.wording import counted
from dealrec.demo import demo_command, sample_data_command
from dealrec.disk import local_source
from dealrec.errors import DealrecError, InputError
from dealrec.extras import Extra
from dealrec.fidelity_cli import fidelity_command
from dealrec.inspect_cli import inspect_command
from dealrec.merge_cli import merge_command
from dealrec.models_cli import register as register_models
from dealrec.options import (
    AppendItemsOption,
    AppendOption,
    Asked,
    BudgetOption,
    ConfigOption,
    GoingOn,
    InteractionsOrSamples,
    JsonOption,
    SamplesOption,
    SetOption,
    TargetOption,
    TrackOption,
    configuration,
    continues,
    reads_data,
)
from dealrec.prompt_cli import prompt_command
from dealrec.settings_file import command_defaults
from dealrec.terminal import (
    Panel,
    add_commands,
    examples,
    print_json,
    resumable_display,
    say,
    stage_display,
    tell,
)
from dealrec.version import __version__

_GROUP = "dealrec.commands"


def _say_version(asked: bool) -> None:
    if asked:
        say(f"dealrec {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point: gathers the subcommands of every installed part and runs one."""
    os.environ.update(yielding_environment())  # before any command loads torch
    gc.set_threshold(10_000, 20, 20)  # what libraries make while they are loaded is no garbage
    application = whole()
    try:
        defaults = command_defaults(typer.main.get_command(application))
    except DealrecError as error:
        tell(f"{error.title}: {error.detail}")
        sys.exit(error.exit_status)
    application(prog_name="dealrec", default_map=defaults)


def whole() -> typer.Typer:
    """Make the command with the subcommands of every installed part."""
    application = typer.Typer(
        name="dealrec",
        help="Select the few samples that are worth fine-tuning an LLM recommender on. `dealrec "
        "COMMAND --help` shows the options of a command, with examples.",
        epilog="Defaults (the server, a reference to the API key, options of commands) can be kept in "
        "a file dealrec.toml, in this folder or in your home folder.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    application.callback()(_root)
    parts = entry_points(group=_GROUP)
    for part in sorted(parts, key=lambda part: (part.name != __package__, part.name)):
        part.load()(application)
    return application


def _root(
    # Not `version`: a default for the command of this name would be taken for the option's.
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def register(application: typer.Typer) -> None:
    """Add this part's subcommands."""
    local: dict[str, Callable[..., None]] = {
        "prune": prune_command,
        "inspect": inspect_command,
        "prompt": prompt_command,
        "finetune": finetune_command,
        "merge": merge_command,
        "export": export_command,
        "compare": compare_command,
        "fidelity": fidelity_command,
    }
    add_commands(application, local, needs=Extra.LIBRARY, panel=Panel.LOCAL)
    samples: dict[str, Callable[..., None]] = {"sample-data": sample_data_command}
    add_commands(application, samples, needs=Extra.CLIENT, panel=Panel.LOCAL)
    add_commands(application, {"demo": demo_command}, needs=Extra.ALL, panel=Panel.LOCAL)
    for register in (
        *(register_client, register_schedules, register_status, register_append),
        *(register_comparisons, register_control, register_selections, register_webhooks),
    ):
        register(application)
    chosen: dict[str, Callable[..., None]] = {
        "selectors": selectors_command,
        "layouts": layouts_command,
    }
    add_commands(application, chosen, panel=Panel.CHOICES)
    register_models(application)
    add_commands(application, {"version": version_command}, panel=Panel.CHOICES)


@examples(
    "dealrec prune interactions.csv --items items.csv --budget 2% --out coreset",
    "dealrec prune events.parquet --column user_id=customer --budget 1024 --out coreset",
    "dealrec prune interactions.csv --budget 2% --set selection.strata=20 --out coreset",
    "dealrec prune interactions.csv --budget 2% --track tensorboard:runs --out coreset",
)
@reads_data
@continues
def prune_command(
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    interactions: InteractionsOrSamples = None,
    budget: BudgetOption = None,
    target: TargetOption = None,
    target_from: Annotated[
        Path | None, typer.Option(help="The report of a comparison with a --curve, for --target.")
    ] = None,
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    samples: SamplesOption = None,
    append: AppendOption = None,
    append_items: AppendItemsOption = None,
    *,
    asked: Asked,
    continued: GoingOn,
    work: Annotated[
        Path | None, typer.Option(help="Where finished stages are kept; default: OUT/.work.")
    ] = None,
    track: TrackOption = None,
    json: JsonOption = False,
) -> None:
    """Select a coreset, the few samples worth fine-tuning on, from your data. This needs no server."""
    from dealrec.data.findings import validation_lines
    from dealrec.pipeline import prune
    from dealrec.sources import additions

    requested = None if budget is None else parse_budget(budget)
    settings = PruneConfig.parse(asked.config)
    with resumable_display(quiet=json) as stages:
        result = prune(
            interactions,
            budget=requested,
            target=target,
            target_from=target_from,
            items=items,
            samples=samples,
            appended=additions(append, append_items),
            continue_from=continued.folder,
            continuation=continued.options,
            out=out,
            work=work,
            config=settings,
            data=asked.data,
            track=track or (),
            stages=stages,
        )
    out = result.folder
    if json:
        summary = {"out": str(out), "size": result.coreset.size, "sha256": result.coreset.sha256}
        told = {"coverage": result.coreset.coverage, "report": result.report}
        print_json(
            {
                **summary,
                **told,
                "audit": result.audit,
                "evaluation": result.evaluation,
                "warnings": result.warnings,
            }
        )
    else:
        for line in validation_lines(result.report):
            say(line)
        for name, value in (result.audit or {}).items():
            say(f"{name} {value:.4g}")
        if (followed := result.target) is not None:
            say(followed.told)
        say(f"{counted(result.coreset.size, 'sample')} in {out / 'coreset.jsonl'}")
        say(f"sha256 {result.coreset.sha256}")
        say(f"report {out / 'report.html'}")


@examples(
    "dealrec finetune coreset --model smollm2-135m --out adapter",
    "dealrec finetune coreset --model mine --set lora.target_modules=q_proj,v_proj --out adapter",
)
@reads_data
def finetune_command(
    coreset: Annotated[
        Path,
        typer.Argument(help="coreset.jsonl, a file like it, or a folder that `prune` has written."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the adapter.")],
    model: Annotated[str, typer.Option(help="Catalogue name, folder, GGUF file or Hub id.")],
    interactions: Annotated[
        Path | None,
        typer.Option(help="The interactions of the coreset; the recommender `encoder` needs them."),
    ] = None,
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    samples: SamplesOption = None,
    prompt_format: Annotated[
        PromptFormat | None,
        typer.Option(
            help="For a file of texts: auto (default), plain, or chat (the model's chat template)."
        ),
    ] = None,
    *,
    asked: Asked,
    track: TrackOption = None,
    json: JsonOption = False,
) -> None:
    """Train a LoRA adapter on a coreset."""
    local_source(coreset)
    from dealrec.pipeline import finetune

    settings = FinetuneConfig.parse({**asked.config, "model": model}, location="finetune")
    with resumable_display(quiet=json) as stages:
        metrics = finetune(
            coreset,
            interactions,
            items=items,
            samples=samples,
            config=settings,
            out=out,
            prompt_format=prompt_format,
            data=asked.data,
            track=track or (),
            stages=stages,
        )
    if json:
        print_json({"out": str(out), "metrics": metrics})
    else:
        say(f"adapter in {out}")


@examples("dealrec export coreset --format sharegpt --out for-llamafactory")
def export_command(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder that `prune` has written, a file of examples, or a trained encoder."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the files; it must be new or empty.")],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="messages (default), prompt_completion, conversational, sharegpt, alpaca or "
            "huggingface. An encoder has a single format.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The language model, if it is not in the catalogue.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Write a coreset and a configuration in the format of another trainer, or export an encoder.

    The configurations (for TRL, Axolotl and LLaMA-Factory) repeat DEALRec's own fine-tuning, with the
    options of the run in the folder or those of --config, --set and --model. An encoder becomes a folder
    that sentence-transformers loads.
    """
    local_source(source)
    from dealrec.coresets.exports import export
    from dealrec.language_models.adapters import CONFIG
    from dealrec.recommenders.export import export_encoder

    if (source / CONFIG).is_file():
        if format_ is not None or config is not None or set_:
            raise InputError(
                "An encoder has a single format. Leave --format, --config and --set out.",
                code="invalid_option",
            )
        with stage_display() as stages:
            export_encoder(source, out=out, model=model, reporter=stages(StageName.FINETUNE))
        say(f"model in {out}")
        return
    asked = configuration(config, set_ or []) | ({} if model is None else {"model": model})
    settings = FinetuneConfig.parse(asked, location="finetune") if asked else None
    made = export(source, format=format_ or "messages", out=out, config=settings)
    if json:
        print_json(
            {
                "out": str(out),
                "samples": made.samples,
                "files": list(made.files),
                "notes": list(made.notes),
            }
        )
        return
    say(f"{counted(made.samples, 'sample')} in {out}: {', '.join(made.files)}")
    for note in made.notes:
        tell(note)


@examples("dealrec layouts")
def layouts_command(json: JsonOption = False) -> None:
    """List the layouts of public data sets, for `--set data.layout=NAME`."""
    from dealrec.config.layouts import LAYOUTS

    if json:
        print_json([layout.to_json() for layout in LAYOUTS.values()])
        return
    for layout in LAYOUTS.values():
        say(f"{layout.name:<20} {layout.summary}")
        for role, forms in (("interactions", layout.interactions), ("items", layout.items)):
            for form in forms:
                say(f"{'':<20} {role}: {form.told()}")


@examples(
    "dealrec selectors",
    "dealrec selectors --json",
)
def selectors_command(json: JsonOption = False) -> None:
    """List the selectors: what each does, which scores it uses, and where it was published."""
    from dealrec.config.selectors import SELECTORS, listed_needs
    from dealrec.config.texts import text_selectors

    of_texts = text_selectors()
    rows: list[dict[str, Any]] = [
        {
            "name": entry.method.value,
            "summary": entry.summary,
            "source": entry.source,
            "needs": [need.value for need in listed_needs(entry)],
            "parameters": list(entry.parameters),
            "without_ids": entry.method in of_texts,
        }
        for entry in SELECTORS.values()
    ]
    if json:
        print_json(rows)
        return
    for row in rows:
        say(f"{row['name']:<18} {row['summary']}")
        source = "" if row["source"] == "-" else f"; source: {row['source']}"
        texts = "; works on texts without ids" if row["without_ids"] else ""
        say(f"{'':<18} uses {', '.join(row['needs']) or 'no scores'}{texts}{source}")


@examples("dealrec version")
def version_command(json: JsonOption = False) -> None:
    """Print the version, like --version."""
    if json:
        print_json({"version": __version__})
    else:
        say(__version__)


if __name__ == "__main__":
    main()
