"""``dealrec compare``."""

from pathlib import Path
from typing import Annotated

import typer

from dealrec.config.comparison import ComparisonConfig, Scale
from dealrec.options import (
    COMPARED,
    Asked,
    BudgetsOption,
    FullDataRunsOption,
    JsonOption,
    ScaleOption,
    SeedsOption,
    SelectorsOption,
    comparison,
    reads_data,
)
from dealrec.terminal import print_json, resumable_display, say


@reads_data
def compare_command(
    interactions: Annotated[Path, typer.Argument(help="CSV, TSV, JSON Lines, Parquet or .inter.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html and report.json.")],
    budget: BudgetsOption,
    selectors: SelectorsOption = COMPARED,
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    seeds: SeedsOption = 3,
    full_data_runs: FullDataRunsOption = 0,
    scale: ScaleOption = Scale.SMOKE,
    work: Annotated[
        Path | None,
        typer.Option(help="Where finished stages and runs are kept, for other comparisons too."),
    ] = None,
    *,
    asked: Asked,
    json: JsonOption = False,
) -> None:
    """Train on the coresets of several selectors, and measure on held-out users, with intervals."""
    compared = ComparisonConfig.parse(
        comparison(
            budget,
            selectors,
            seeds=seeds,
            full_data_runs=full_data_runs,
            scale=scale,
            config=asked.config,
        ),
        location="comparison",
    )
    from dealrec.pipeline import compare

    with resumable_display(quiet=json) as stages:
        report = compare(
            interactions,
            items=items,
            config=compared,
            out=out,
            work=work,
            data=asked.data,
            stages=stages,
        )
    if json:
        print_json(report.model_dump(mode="json"))
        return
    for line in (*report.validation, report.verdict, *report.findings, *report.warnings):
        say(line)
    say(f"report {out / 'report.html'}")
