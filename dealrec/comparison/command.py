"""``dealrec compare``."""

from pathlib import Path
from typing import Annotated

import typer

from dealrec.config import SplitMethod, parse_budget
from dealrec.config.comparison import ComparisonConfig, Scale
from dealrec.options import (
    ColumnOption,
    ConfigOption,
    JsonOption,
    SetOption,
    configuration,
    pair,
)
from dealrec.terminal import print_json, say, stage_display


def compare_command(
    interactions: Annotated[Path, typer.Argument(help="CSV, TSV, JSON Lines, Parquet or .inter.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html and report.json.")],
    budget: Annotated[str, typer.Option(help="Counts or fractions, by commas: 256,1024.")],
    selectors: Annotated[
        str, typer.Option(help="Names by commas; random selection is always added.")
    ] = "dealrec,stratified_random",
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Runs of each selector.")] = 3,
    full_data_runs: Annotated[
        int, typer.Option(min=0, help="Trainings on all samples; 0 extrapolates their cost.")
    ] = 0,
    scale: Annotated[
        Scale, typer.Option(help="smoke: minutes on a CPU; full: every layer, many users.")
    ] = Scale.SMOKE,
    work: Annotated[
        Path | None, typer.Option(help="Where finished runs are kept, to go on from.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    column: ColumnOption = None,
    split: Annotated[SplitMethod | None, typer.Option(help="How to split.")] = None,
    json: JsonOption = False,
) -> None:
    """Train on the coresets of several selectors, and measure on held-out users, with intervals."""
    asked = ComparisonConfig.parse(
        {
            "budgets": [parse_budget(text) for text in _listed(budget)],
            "selectors": _listed(selectors),
            "seeds": seeds,
            "full_data_runs": full_data_runs,
            "scale": scale,
            "config": configuration(config, set_ or []),
        },
        location="comparison",
    )
    from dealrec.comparison.pipeline import compare_selectors

    with stage_display(quiet=json) as stages:
        report = compare_selectors(
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
    for line in (report.verdict, *report.findings, *report.warnings):
        say(line)
    say(f"report {out / 'report.html'}")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
