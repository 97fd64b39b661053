"""``dealrec fidelity``."""

import json as jsonlib
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from dealrec.config import PruneConfig
from dealrec.config.stages import StageName
from dealrec.options import Asked, InteractionsArgument, JsonOption, reads_data
from dealrec.terminal import examples, print_json, say, stage_display


@examples("dealrec fidelity interactions.csv --users 500 --out fidelity")
@reads_data
def fidelity_command(
    interactions: InteractionsArgument,
    out: Annotated[Path, typer.Option(help="Folder for report.json and the trained surrogates.")],
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    users: Annotated[
        int | None,
        typer.Option(min=20, help="Use only this many users, spread evenly; default: all."),
    ] = None,
    halves: Annotated[
        int, typer.Option(min=3, help="The number of random halves of the users to train on.")
    ] = 30,
    seeds: Annotated[int, typer.Option(min=1, help="The number of trainings on each half.")] = 2,
    queries: Annotated[
        int,
        typer.Option(
            min=2, help="The number of queries (samples whose loss is predicted) of each kind."
        ),
    ] = 500,
    surrogates: Annotated[
        int, typer.Option(min=1, help="The number of surrogates whose predictions are averaged.")
    ] = 2,
    left_out: Annotated[
        int,
        typer.Option(
            min=3, help="The number of samples to leave out, one at a time, on a small problem."
        ),
    ] = 30,
    processes: Annotated[
        int, typer.Option(min=1, help="The number of trainings that run at the same time.")
    ] = 1,
    table: Annotated[
        bool,
        typer.Option(help="Also measure every other set of parameters and every other curvature."),
    ] = False,
    *,
    asked: Asked,
    json: JsonOption = False,
) -> None:
    """Measure on your data how well influence predicts what happens when samples are left out of training."""
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
