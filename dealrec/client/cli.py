"""Commands that talk to a server: submit, estimate, watch, metrics, coreset, adapter, upload."""

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from dealrec.config import parse_budget
from dealrec.config.wording import counted
from dealrec.options import (
    Asked,
    BudgetOption,
    ConfigOption,
    InteractionsOrSamples,
    JsonOption,
    SamplesOption,
    SetOption,
    TargetOption,
    configuration,
    reads_data,
)
from dealrec.terminal import (
    Panel,
    add_commands,
    examples,
    print_json,
    print_json_line,
    say,
    tell,
)

if TYPE_CHECKING:
    from dealrec.client.clients import Client
    from dealrec.client.resources import Job

WatchOption = Annotated[bool, typer.Option("--watch", help="Wait until the job has ended.")]
WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Wait until the data are validated.")
]
FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        help="jsonl, parquet, csv, messages, prompt_completion, conversational, sharegpt, alpaca or "
        "huggingface.",
    ),
]


def register(application: typer.Typer) -> None:
    """Add the subcommands of this module."""
    jobs: dict[str, Callable[..., None]] = {
        "submit": submit_command,
        "estimate": estimate_command,
        "watch": watch_command,
        "metrics": metrics_command,
        "upload": upload_command,
    }
    results: dict[str, Callable[..., None]] = {
        "coreset": coreset_command,
        "adapter": adapter_command,
    }
    add_commands(application, jobs, panel=Panel.JOBS)
    add_commands(application, results, panel=Panel.RESULTS)


@examples(
    "dealrec submit interactions.csv --items items.csv --budget 2% --watch",
    "dealrec submit interactions.csv --budget 1024 --set selection.method=dealrec --name games",
)
@reads_data
def submit_command(
    interactions: InteractionsOrSamples = None,
    budget: BudgetOption = None,
    target: TargetOption = None,
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    samples: SamplesOption = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set.")] = None,
    *,
    asked: Asked,
    idempotency_key: Annotated[
        str | None, typer.Option(help="A repeated request with the same key returns the same job.")
    ] = None,
    watch: WatchOption = False,
    wait: WaitOption = True,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Send data to a server, start a job that makes a coreset, and print the job's id.

    The command waits until the data are validated, and says how many rows were accepted and rejected.
    """
    with asking(server, key) as client:
        job = client.prune(
            interactions,
            items=items,
            samples=samples,
            budget=None if budget is None else parse_budget(budget),
            target=target,
            config=asked.config,
            name=name,
            data=asked.data,
            idempotency_key=idempotency_key,
            progress=not json,
        )
        say_job(client, job, watch=watch, wait=wait, json=json)


@examples("dealrec estimate ds_01hxyz --budget 2%")
def estimate_command(
    dataset_id: Annotated[str, typer.Argument(metavar="DATASET", help="Id of a data set (ds_…).")],
    budget: Annotated[str, typer.Option(help="A count, or a share such as 2%.")],
    config: ConfigOption = None,
    set_: SetOption = None,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Print how long a job on a data set of the server would take, stage by stage. Nothing is started."""
    asked = configuration(config, set_ or [])
    with asking(server, key) as client:
        found = client.jobs.estimate(dataset_id, budget=parse_budget(budget), config=asked)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    say(f"{counted(found.budget.samples or 0, 'sample')}, about {found.seconds:,.0f} s")
    for stage in found.stages:
        memory = stage.peak_memory_bytes
        held = "" if memory is None else f"{memory / 1e9:.2f} GB"
        seconds = "there already" if stage.reused else f"{stage.seconds:,.1f} s"
        basis = stage.calibrated_on.basis.replace("_", " ")
        say(f"  {stage.name:<10} {seconds:<14} {held:<9} by {basis}")
    tell_warnings(found.warnings)


@examples("dealrec watch job_01hxyz")
def watch_command(
    job_id: JobArgument,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Show a job's stages until it has ended or is paused. The exit status is 1 if it failed.

    With ``--json``, the job's events are printed as they happen, one per line, and the job itself as the
    last line.
    """
    with asking(server, key) as client:
        _watch(client, job_id, json=json)


@examples(
    "dealrec metrics job_01hxyz",
    "dealrec metrics job_01hxyz --name train_loss --points 50",
)
def metrics_command(
    job_id: JobArgument,
    name: Annotated[
        str | None, typer.Option(help="Print only this curve, such as train_loss; default: all.")
    ] = None,
    points: Annotated[
        int, typer.Option(min=2, help="How many points of each curve to print.")
    ] = 20,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Print the curves of a job (losses and learning rates, step by step). --json prints every point."""
    with asking(server, key) as client:
        found = client.jobs.get(job_id).metrics()
    curves = [curve for curve in found if name in (None, curve.name)]
    if json:
        print_json([plain_record(curve) for curve in curves])
        return
    if not curves:
        there = ", ".join(dict.fromkeys(curve.name for curve in found)) or "none so far"
        say(f"{job_id} has no curve {name or ''}; its curves: {there}".replace("curve ;", "curve;"))
    for curve in curves:
        run = f", run {curve.run}" if curve.run else ""
        say(f"{curve.name} ({curve.stage}{run})")
        shown, last = min(points, len(curve.points)), len(curve.points) - 1
        for place in [round(number * last / max(1, shown - 1)) for number in range(shown)]:
            point = curve.points[place]
            value = "not a number" if point.value is None else f"{point.value:.6g}"
            say(f"  {curve.unit} {point.step:<8} {value}")


@examples(
    "dealrec coreset job_01hxyz --out coreset.jsonl",
    "dealrec coreset cs_01hxyz --format sharegpt --configurations --out coreset.zip",
)
def coreset_command(
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Id of a coreset (cs_…), or of the job that made it (job_…)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write to.")],
    format_: FormatOption = "jsonl",
    configurations: Annotated[
        bool,
        typer.Option(help="Download a zip that also contains configurations for other trainers."),
    ] = False,
    adapter: Annotated[
        str | None,
        typer.Option(help="With --configurations: id of the adapter whose settings they repeat."),
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Download a coreset. An interrupted download is resumed."""
    with asking(server, key) as client:
        made_by_job = identifier.startswith("job_")
        coreset = (
            client.jobs.get(identifier).coreset if made_by_job else client.coresets.get(identifier)
        )
        coreset.download(
            out,
            format=format_,
            configurations=configurations,
            adapter=adapter,
            progress=not json,
        )
    if json:
        print_json({"out": str(out), **plain_record(coreset)})
    else:
        say(f"{counted(coreset.size, 'sample')} in {out}")
        say(f"sha256 {coreset.sha256}")


@examples("dealrec adapter ad_01hxyz --out adapter")
def adapter_command(
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Id of an adapter (ad_…), or of the job that made it (job_…)."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the adapter, which PeftModel.from_pretrained loads.")
    ],
    merged: Annotated[
        bool,
        typer.Option(
            "--merged",
            help="Download the whole language model with the adapter merged into its weights.",
        ),
    ] = False,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Download a LoRA adapter. An interrupted download is resumed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with asking(server, key) as client:
        made_by_job = identifier.startswith("job_")
        adapter = (
            client.jobs.get(identifier).adapter if made_by_job else client.adapters.get(identifier)
        )
        fetch = adapter.download_merged if merged else adapter.download
        archive = fetch(out.with_name(f"{out.name}.zip"), progress=not json)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        out.mkdir(exist_ok=True)
        for file in Path(folder).iterdir():
            file.replace(out / file.name)
    archive.unlink()
    if json:
        print_json({"out": str(out), **plain_record(adapter)})
    else:
        say(f"adapter of {adapter.model} in {out}")


@examples("dealrec upload interactions.csv")
def upload_command(
    file: Annotated[Path, typer.Argument(help="A file of interactions, items or samples.")],
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Send a file in parts, and print the upload's id. A second attempt sends only the missing parts."""
    with asking(server, key) as client:
        upload = client.uploads.send(file, progress=not json)
    if json:
        print_json(plain_record(upload))
    else:
        say(upload.id)


def say_job(client: "Client", job: "Job[Any]", *, watch: bool, wait: bool, json: bool) -> None:
    """Print the id of a new job, or all of it with ``json``, or its progress with ``watch``.

    With ``wait`` the validation of its data is followed, and its sums go to standard error.
    """
    if watch:
        _watch(client, job.id, json=json)
        return
    if not json:
        say(job.id, flush=True)
        if wait:
            for line in client.datasets.get(job.dataset_id).wait(progress=True).validation:
                tell(line)
            job = client.jobs.get(job.id)  # the number of samples is known now
        tell_warnings(job.warnings)
        return
    dataset = client.datasets.get(job.dataset_id)
    print_json({**plain_record(job), "dataset": plain_record(dataset.wait() if wait else dataset)})


def _watch(client: "Client", job_id: str, *, json: bool) -> None:
    """Show the job until it has ended or is paused; raises ``typer.Exit`` (1) where it failed."""
    if not json:
        job = client.jobs.get(job_id)
        for line in client.datasets.get(job.dataset_id).wait(progress=True).validation:
            tell(line)
        tell_warnings(client.jobs.get(job_id).warnings)
        job = job.wait(progress=True)
        result = job.coreset_id or job.adapter_id or ""
        say(f"{job.id} {job.state} {result}".rstrip())
        return
    job = _events_as_lines(client, job_id)
    dataset = client.datasets.get(job.dataset_id)
    print_json_line({**plain_record(job), "dataset": plain_record(dataset)})
    if job.state in ("failed", "cancelled"):
        raise typer.Exit(1)


def _events_as_lines(client: "Client", job_id: str) -> "Job[Any]":
    job = client.jobs.get(job_id)
    for event in job.follow():
        print_json_line({"object": "event", **plain_record(event)})
        # The event may be old: the job may have been resumed since.
        if event.kind == "job.paused" and client.jobs.get(job_id).state == "paused":
            break
    return client.jobs.get(job_id)
