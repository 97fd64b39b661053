"""``dealrec compare``."""

from pathlib import Path
from typing import Annotated

import typer

from dealrec.config import SplitMethod
from dealrec.config.comparison import ComparisonConfig, Scale
from dealrec.options import (
    COMPARED,
    BudgetsOption,
    ColumnOption,
    ConfigOption,
    FullDataRunsOption,
    JsonOption,
    ScaleOption,
    SeedsOption,
    SelectorsOption,
    SetOption,
    comparison,
    configuration,
    pair,
)
from dealrec.terminal import print_json, say, stage_display


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
    config: ConfigOption = None,
    set_: SetOption = None,
    column: ColumnOption = None,
    split: Annotated[SplitMethod | None, typer.Option(help="How to split.")] = None,
    json: JsonOption = False,
) -> None:
    """Train on the coresets of several selectors, and measure on held-out users, with intervals."""
    asked = ComparisonConfig.parse(
        comparison(
            budget,
            selectors,
            seeds=seeds,
            full_data_runs=full_data_runs,
            scale=scale,
            config=configuration(config, set_ or []),
        ),
        location="comparison",
    )
    from dealrec.pipeline import compare

    with stage_display(quiet=json) as stages:
        report = compare(
            interactions,
            items=items,
            config=asked,
            out=out,
            work=work,
            columns=dict(pair(text, "--column") for text in column or []),
            split=split,
            stages=stages,
        )
    if json:
        print_json(report.model_dump(mode="json"))
        return
    for line in (*report.validation, report.verdict, *report.findings, *report.warnings):
        say(line)
    say(f"report {out / 'report.html'}")
