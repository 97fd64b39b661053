"""``dealrec compare``."""

from pathlib import Path
from typing import Annotated

import typer

from dealrec.config.comparison import ComparisonConfig
from dealrec.config.comparison_options import ComparisonOptions
from dealrec.errors import InputError
from dealrec.options import (
    AppendItemsOption,
    AppendOption,
    Asked,
    InteractionsArgument,
    JsonOption,
    SamplesOption,
    TrackOption,
    compares,
    reads_data,
)
from dealrec.terminal import examples, print_json, resumable_display, say


@examples(
    "dealrec compare interactions.csv --items items.csv --budget 1%,5% --selectors dealrec --out comparison"
)
@reads_data
@compares
def compare_command(
    interactions: InteractionsArgument,
    out: Annotated[Path, typer.Option(help="Folder for report.html and report.json.")],
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    samples: SamplesOption = None,
    append: AppendOption = None,
    append_items: AppendItemsOption = None,
    work: Annotated[
        Path | None,
        typer.Option(
            help="Where finished stages and runs are kept. Other comparisons can use them too."
        ),
    ] = None,
    pilot: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Folder of an earlier report, from which the smallest detectable difference is computed "
                "before the runs start."
            )
        ),
    ] = None,
    *,
    asked: Asked,
    compared: ComparisonOptions,
    track: TrackOption = None,
    json: JsonOption = False,
) -> None:
    """Find out which selector's coresets teach most: train on each one, and evaluate on held-out users."""
    settings = ComparisonConfig.parse({**compared, "config": asked.config}, location="comparison")
    from dealrec.comparison.curve import curve_lines
    from dealrec.pipeline import compare
    from dealrec.sources import additions

    if pilot is not None and not json:
        say(_foreseen(pilot, settings))

    with resumable_display(quiet=json) as stages:
        report = compare(
            interactions,
            items=items,
            samples=samples,
            appended=additions(append, append_items),
            config=settings,
            out=out,
            work=work,
            data=asked.data,
            track=track or (),
            stages=stages,
        )
    if json:
        print_json(report.model_dump(mode="json"))
        return
    told = (*report.validation, report.verdict, *curve_lines(report.curve))
    for line in (*told, *report.findings, *report.warnings):
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
            f"{pilot} does not hold the report of a comparison: {error}", code="no_pilot"
        ) from None
    if power is None:
        raise InputError(
            f"The report in {pilot} has only one run of each selector, so the spread of differences is "
            "unknown. Use a report of this version with at least two runs.",
            code="no_pilot",
        )
    assert asked.config.evaluation is not None
    return foreseen(power, asked.seeds, asked.config.evaluation.users)
