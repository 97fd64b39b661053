"""The ``dealrec`` command, and those of its subcommands that need no server."""

import json as jsonlib
import os
import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from dealrec.client.cli import register as register_client
from dealrec.client.comparison_cli import register as register_comparisons
from dealrec.compare_cli import compare_command
from dealrec.config import FinetuneConfig, PruneConfig, parse_budget
from dealrec.config.runtime import yielding_environment
from dealrec.config.stages import StageName
from dealrec.demo import demo_command
from dealrec.errors import InputError
from dealrec.extras import Extra
from dealrec.inspect_cli import inspect_command
from dealrec.models_cli import register as register_models
from dealrec.options import (
    Asked,
    BudgetOption,
    ConfigOption,
    InteractionsArgument,
    InteractionsOrSamples,
    JsonOption,
    SamplesOption,
    SetOption,
    TargetOption,
    configuration,
    reads_data,
)
from dealrec.prompt_cli import prompt_command
from dealrec.terminal import (
    add_commands,
    print_json,
    resumable_display,
    say,
    stage_display,
    tell,
)
from dealrec.version import __version__

_GROUP = "dealrec.commands"


def main() -> None:
    """Entry point: gathers the subcommands of every installed part and runs one."""
    os.environ.update(yielding_environment())  # before any command loads torch
    application = typer.Typer(
        name="dealrec",
        help="Pick the few samples worth fine-tuning an LLM recommender on.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
    )
    for part in sorted(entry_points(group=_GROUP), key=lambda part: part.name):
        part.load()(application)
    application()


def register(application: typer.Typer) -> None:
    """Add this part's subcommands."""
    add_commands(
        application,
        {
            "layouts": layouts_command,
            "selectors": selectors_command,
            "version": version_command,
        },
    )
    add_commands(application, {"sample-data": sample_data_command}, needs=Extra.CLIENT)
    add_commands(
        application,
        {
            "inspect": inspect_command,
            "prompt": prompt_command,
            "prune": prune_command,
            "finetune": finetune_command,
            "export": export_command,
            "compare": compare_command,
            "fidelity": fidelity_command,
        },
        needs=Extra.LIBRARY,
    )
    add_commands(application, {"demo": demo_command}, needs=Extra.ALL)
    register_models(application)
    register_client(application)
    register_comparisons(application)


@reads_data
def prune_command(
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    interactions: InteractionsOrSamples = None,
    budget: BudgetOption = None,
    target: TargetOption = None,
    target_from: Annotated[
        Path | None, typer.Option(help="Report of a comparison with a --curve, or its folder.")
    ] = None,
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    samples: SamplesOption = None,
    *,
    asked: Asked,
    work: Annotated[
        Path | None, typer.Option(help="Where finished stages are kept; default: OUT/.work.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Choose a coreset from a file of interactions, or of samples; no server needed."""
    from dealrec.data.findings import validation_lines
    from dealrec.pipeline import prune

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
            out=out,
            work=work,
            config=settings,
            data=asked.data,
            stages=stages,
        )
    out = result.folder
    if json:
        summary = {"out": str(out), "size": result.coreset.size, "sha256": result.coreset.sha256}
        told = {"coverage": result.coreset.coverage, "report": result.report}
        print_json({**summary, **told, "audit": result.audit, "evaluation": result.evaluation})
    else:
        for line in validation_lines(result.report):
            say(line)
        for name, value in (result.audit or {}).items():
            say(f"{name} {value:.4g}")
        if (followed := result.target) is not None:
            say(followed.told)
        say(f"{result.coreset.size:,} samples in {out / 'coreset.jsonl'}")
        say(f"sha256 {result.coreset.sha256}")
        say(f"report {out / 'report.html'}")


@reads_data
def finetune_command(
    coreset: Annotated[
        Path,
        typer.Argument(help="A coreset.jsonl, JSON Lines like it, or a folder of prune."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the adapter.")],
    model: Annotated[str, typer.Option(help="Catalogue name, folder, GGUF file or hub id.")],
    interactions: Annotated[
        Path | None,
        typer.Option(help="The data that the coreset is of; an encoder reads its titles."),
    ] = None,
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    *,
    asked: Asked,
    json: JsonOption = False,
) -> None:
    """Train a LoRA adapter on a coreset."""
    from dealrec.pipeline import finetune

    settings = FinetuneConfig.parse({**asked.config, "model": model}, location="finetune")
    with resumable_display(quiet=json) as stages:
        metrics = finetune(
            coreset,
            interactions,
            items=items,
            config=settings,
            out=out,
            data=asked.data,
            stages=stages,
        )
    if json:
        print_json({"out": str(out), "metrics": metrics})
    else:
        say(f"adapter in {out}")


def export_command(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder of prune, a file of examples, or the folder of a trained encoder."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write, new or empty.")],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="messages (default), prompt_completion, conversational, sharegpt, alpaca or "
            "huggingface; an encoder has one format.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The language model, if it is not in the catalogue.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Write a coreset for other trainers, with configurations of theirs, or an encoder.

    The configurations (TRL, Axolotl, LLaMA-Factory) repeat our fine-tuning: that of the folder's run,
    or the one of --config, --set and --model. An encoder becomes a folder that sentence-transformers
    loads.
    """
    from dealrec.coresets.exports import export
    from dealrec.language_models.adapters import CONFIG
    from dealrec.recommenders.export import export_encoder

    if (source / CONFIG).is_file():
        if format_ is not None or config is not None or set_:
            raise InputError(
                "An encoder is written in one format, and takes no options but --model.",
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
    say(f"{made.samples:,} samples in {out}: {', '.join(made.files)}")
    for note in made.notes:
        tell(note)


@reads_data
def fidelity_command(
    interactions: InteractionsArgument,
    out: Annotated[Path, typer.Option(help="Folder for report.json and the trainings.")],
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    users: Annotated[
        int | None, typer.Option(min=20, help="Measure on so many users, spread evenly.")
    ] = None,
    halves: Annotated[int, typer.Option(min=3, help="Random halves of the users.")] = 30,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each half.")] = 2,
    queries: Annotated[int, typer.Option(min=2, help="Of each kind.")] = 500,
    surrogates: Annotated[int, typer.Option(min=1, help="To average predictions over.")] = 2,
    left_out: Annotated[int, typer.Option(min=3, help="Samples left out on a small problem.")] = 30,
    processes: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 1,
    table: Annotated[bool, typer.Option(help="Every parameter set and curvature as well.")] = False,
    *,
    asked: Asked,
    json: JsonOption = False,
) -> None:
    """Measure how well influence predicts what leaving samples out does, on your data."""
    from dealrec.data.findings import validation_lines
    from dealrec.influence.fidelity.datamodeling import FidelityScale
    from dealrec.influence.fidelity.halves import small_problem
    from dealrec.influence.fidelity.measure import measure_fidelity
    from dealrec.sources import source_files
    from dealrec.stages.ingest import ingest_files

    settings = PruneConfig.parse({"effort": None, **asked.config})
    with (
        tempfile.TemporaryDirectory(prefix="dealrec-") as work,
        stage_display(quiet=json) as stages,
        source_files(interactions, items, asked.data) as files,
    ):
        result = ingest_files(files, Path(work))
        out.mkdir(parents=True, exist_ok=True)
        report = measure_fidelity(
            result.dataset if users is None else small_problem(result.dataset, users),
            settings,
            out / "trainings",
            scale=FidelityScale(halves, seeds, queries, surrogates, processes),
            table=table,
            left_out=left_out,
            reporter=stages(StageName.INFLUENCE),
        )
    written = report.to_json()
    (out / "report.json").write_text(jsonlib.dumps(written, indent=2), encoding="utf-8")
    if json:
        print_json(written)
        return
    for line in (*validation_lines(result.report), *report.lines()):
        say(line)
    say(f"report {out / 'report.json'}")


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


def selectors_command(json: JsonOption = False) -> None:
    """List the selectors."""
    from dealrec.config.selectors import SELECTORS, listed_needs

    rows = [
        {
            "name": entry.method.value,
            "summary": entry.summary,
            "source": entry.source,
            "needs": [need.value for need in listed_needs(entry)],
            "parameters": list(entry.parameters),
        }
        for entry in SELECTORS.values()
    ]
    if json:
        print_json(rows)
        return
    for row in rows:
        say(f"{row['name']:<18} {row['summary']}")
        say(f"{'':<18} looks at {', '.join(row['needs']) or 'nothing'}; {row['source']}")


def sample_data_command(
    folder: Annotated[Path, typer.Argument(help="Gets interactions.csv and items.csv.")],
    users: Annotated[int, typer.Option(min=10, max=10_000_000)] = 1000,
    items: Annotated[int, typer.Option(min=20, max=1_000_000)] = 500,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: JsonOption = False,
) -> None:
    """Write a synthetic data set with titles, genres and sequences to try things on."""
    from dealrec.data.synthetic import write_sample_data

    write_sample_data(folder, users=users, items=items, seed=seed)
    if json:
        print_json({"folder": str(folder), "users": users, "items": items, "seed": seed})
    else:
        say(f"{folder / 'interactions.csv'}\n{folder / 'items.csv'}")


def version_command(json: JsonOption = False) -> None:
    """Say which version this is."""
    if json:
        print_json({"version": __version__})
    else:
        say(__version__)


if __name__ == "__main__":
    main()
