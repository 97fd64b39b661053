"""Commands for comparisons on a server: submit-comparison, report."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dealrec.client.asking import (
    DEFAULT_SERVER,
    JobArgument,
    KeyOption,
    ServerOption,
    asking,
    plain_record,
    tell_warnings,
)
from dealrec.client.cli import WaitOption, WatchOption, say_job
from dealrec.config.comparison_options import ComparisonOptions
from dealrec.errors import FieldError, InputError
from dealrec.options import Asked, JsonOption, compares, reads_data
from dealrec.terminal import Panel, add_commands, examples, print_json, say, tell

if TYPE_CHECKING:
    from dealrec.client.records import Estimate

_DATASET = "ds_"


def register(application: typer.Typer) -> None:
    """Add the subcommands of this module."""
    jobs: dict[str, Callable[..., None]] = {"submit-comparison": submit_comparison_command}
    results: dict[str, Callable[..., None]] = {"report": report_command}
    add_commands(application, jobs, panel=Panel.JOBS)
    add_commands(application, results, panel=Panel.RESULTS)


@examples(
    "dealrec submit-comparison ds_01hxyz --budget 1%,5% --selectors dealrec,influence_strata --estimate"
)
@reads_data
@compares
def submit_comparison_command(
    data: Annotated[
        str,
        typer.Argument(help="File of interactions, or the id of a data set (ds_…) on the server."),
    ],
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set.")] = None,
    *,
    asked: Asked,
    compared: ComparisonOptions,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Print the estimated cost without starting anything.")
    ] = False,
    watch: WatchOption = False,
    wait: WaitOption = True,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Start a comparison of selectors on a server and print its id, or print its cost with --estimate."""
    compared["config"] = asked.config
    with asking(server, key) as client:
        if data.startswith(_DATASET) and not Path(data).exists():
            _require_none({"--items": items, "--name": name, **_data_flags(asked)})
            dataset = client.datasets.get(data)
        else:
            dataset = client.datasets.create(
                data,
                items=items,
                name=name,
                data=asked.data,
                progress=not json,
            )
        if estimate:
            dataset = dataset.wait()
            for line in dataset.validation:
                tell(line)
            found = client.jobs.estimate_comparison(dataset.id, **compared)
            if json:
                print_json(plain_record(found))
            else:
                _say_estimate(found)
            return
        job = client.jobs.compare(dataset.id, **compared)
        say_job(client, job, watch=watch, wait=wait, json=json)


@examples("dealrec report job_01hxyz --out report.html")
def report_command(
    job_id: JobArgument,
    out: Annotated[Path, typer.Option(help="File to write.")],
    format_: Annotated[
        str, typer.Option("--format", help="html (default), json or parquet.")
    ] = "html",
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Download the report of a comparison, and print its verdict."""
    with asking(server, key) as client:
        job = client.jobs.get(job_id)
        job.download_report(out, format=format_)
        verdict = job.report()["verdict"]
    if json:
        print_json({"out": str(out), "job_id": job_id, "verdict": verdict})
    else:
        say(verdict)
        say(f"report {out}")


def _require_none(options: Mapping[str, object]) -> None:
    """Refuse options that say how to read a file when the data set is on the server already.

    Raises:
        InputError: ``invalid_option``.
    """
    for name, value in options.items():
        if value:
            raise InputError(
                (
                    f"{name} says how to read a file, but {_DATASET}… is a data set that was read before. "
                    "Leave the option out."
                ),
                code="invalid_option",
                errors=[FieldError(name, "applies to a file only")],
            )


def _data_flags(asked: Asked) -> dict[str, object]:
    flags = {"columns": "--column", "split": "--split", "allowed_rejected": "--allow-rejected"}
    given = asked.data.model_dump(exclude_unset=True)
    return {flags.get(name, f"--set data.{name}"): True for name in given}


def _say_estimate(estimate: "Estimate") -> None:
    say(f"data set {estimate.dataset_id}")
    say(f"{estimate.trainings:,} trainings, about {estimate.seconds:,.0f} s")
    if (able := estimate.detectable) is not None:
        say(
            f"{able.runs} runs and {able.users:,} users detect a difference of {able.difference:.3g} "
            f"in {able.metric} four times out of five"
        )
    for stage in estimate.stages:
        seconds = "reused" if stage.reused else f"{stage.seconds:,.0f} s"
        runs = f" in {stage.runs} runs" if stage.runs > 1 else ""
        say(f"  {stage.name:<10} {seconds}{runs}")
    tell_warnings(estimate.warnings)
