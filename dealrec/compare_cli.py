"""``dealrec compare``."""

from pathlib import Path
from typing import Annotated

import typer

from dealrec.config.comparison import ComparisonConfig, Scale
from dealrec.errors import InputError
from dealrec.options import (
    COMPARED,
    FULL_DATA_RUNS,
    SEEDS,
    SMALLEST_EFFECT,
    Asked,
    BudgetsOption,
    DespiteOption,
    FullDataRunsOption,
    FullDataSamplesOption,
    InteractionsArgument,
    JsonOption,
    ScaleOption,
    SeedsOption,
    SelectorsOption,
    SmallestEffectOption,
    comparison,
    reads_data,
)
from dealrec.terminal import print_json, resumable_display, say


@reads_data
def compare_command(
    interactions: InteractionsArgument,
    out: Annotated[Path, typer.Option(help="Folder for report.html and report.json.")],
    budget: BudgetsOption,
    selectors: SelectorsOption = COMPARED,
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    seeds: SeedsOption = SEEDS,
    smallest_effect: SmallestEffectOption = SMALLEST_EFFECT,
    full_data_runs: FullDataRunsOption = FULL_DATA_RUNS,
    full_data_samples: FullDataSamplesOption = None,
    despite_no_headroom: DespiteOption = False,
    scale: ScaleOption = Scale.CPU,
    work: Annotated[
        Path | None,
        typer.Option(help="Where finished stages and runs are kept, for other comparisons too."),
    ] = None,
    pilot: Annotated[
        Path | None,
        typer.Option(help="Folder of an earlier report, to say first what this one can show."),
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
            smallest_effect=smallest_effect,
            full_data_runs=full_data_runs,
            full_data_samples=full_data_samples,
            despite_no_headroom=despite_no_headroom,
            scale=scale,
            config=asked.config,
        ),
        location="comparison",
    )
    from dealrec.pipeline import compare

    if pilot is not None and not json:
        say(_foreseen(pilot, compared))

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


def _foreseen(pilot: Path, asked: ComparisonConfig) -> str:
    """Say what difference the asked runs and users can show.

    Raises:
        InputError: ``no_pilot``.
    """
    from dealrec.comparison.checks import foreseen
    from dealrec.comparison.results import ComparisonReport

    try:
        text = (pilot / "report.json").read_text(encoding="utf-8")
        power = ComparisonReport.model_validate_json(text).power
    except (OSError, ValueError) as error:
        raise InputError(
            f"{pilot} holds no report of a comparison: {error}", code="no_pilot"
        ) from None
    if power is None:
        raise InputError(
            f"The report in {pilot} compares nothing twice, so it has no spreads. Take one of "
            "this version with two runs or more.",
            code="no_pilot",
        )
    assert asked.config.evaluation is not None
    return foreseen(power, asked.seeds, asked.config.evaluation.users)
