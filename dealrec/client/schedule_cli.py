"""``dealrec schedules``."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dealrec.client.asking import DEFAULT_SERVER, KeyOption, ServerOption, asking, plain_record
from dealrec.client.cli import WatchOption, say_job
from dealrec.client.control_cli import LimitOption, print_records, say_deleted
from dealrec.config import parse_budget
from dealrec.errors import InputError
from dealrec.options import (
    BudgetOption,
    ConfigOption,
    JsonOption,
    SetOption,
    TargetOption,
    configuration,
)
from dealrec.terminal import Panel, add_commands, examples, print_json, say

if TYPE_CHECKING:
    from dealrec.client.schedules import Schedule, ScheduleTick

ScheduleArgument = Annotated[
    str, typer.Argument(metavar="SCHEDULE", help="Id of a schedule (sch_…).")
]


def register(application: typer.Typer) -> None:
    """Add ``schedules``."""
    schedules = typer.Typer(
        help=(
            "Let the server make jobs by itself: at set times, on new data, or when the data have "
            "drifted."
        ),
        no_args_is_help=True,
    )
    commands: dict[str, Callable[..., None]] = {
        "add": add_command,
        "list": list_command,
        "run": run_command,
        "ticks": ticks_command,
        "pause": pause_command,
        "resume": resume_command,
        "remove": remove_command,
    }
    add_commands(schedules, commands)
    application.add_typer(schedules, name="schedules", rich_help_panel=Panel.JOBS)


@examples(
    'dealrec schedules add ds_01hxyz --name nightly --cron "30 3 * * *" --time-zone Asia/Seoul --budget 2%',
    "dealrec schedules add ds_01hxyz --name follow --on-version --budget 2% --continue",
    "dealrec schedules add ds_01hxyz --name moved --drift-above 0.2 --budget 2%",
)
def add_command(
    dataset_id: Annotated[
        str,
        typer.Argument(metavar="DATASET", help="Id of any version of a data set (ds_…)."),
    ],
    name: Annotated[str, typer.Option(help="A name for people.")],
    budget: BudgetOption = None,
    target: TargetOption = None,
    cron: Annotated[
        str | None,
        typer.Option(
            help=(
                "When to make jobs, as a cron expression: minute, hour, day of the month, month, day of the "
                "week."
            )
        ),
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(help="The time zone of --cron, such as Europe/Berlin; default: UTC."),
    ] = None,
    on_version: Annotated[
        bool, typer.Option("--on-version", help="Make a job whenever a new version is ready.")
    ] = False,
    drift_above: Annotated[
        float | None,
        typer.Option(
            help="Make a job once the data have drifted further than this since the last job."
        ),
    ] = None,
    drift_of: Annotated[
        str | None,
        typer.Option(
            help="The drift that is measured: popularity (of targets; default) or new_items (their share)."
        ),
    ] = None,
    continue_last: Annotated[
        bool,
        typer.Option("--continue", help="Let each job continue from the last one that succeeded."),
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Add a schedule, which makes jobs on the newest version of a data set, and print its id."""
    trigger = _trigger(cron, time_zone, drift_above, drift_of, on_version=on_version)
    with asking(server, key) as client:
        schedule = client.schedules.create(
            dataset_id,
            name=name,
            trigger=trigger,
            budget=None if budget is None else parse_budget(budget),
            target=target,
            config=configuration(config, set_ or []) or None,
            continue_last=continue_last,
        )
    _say(schedule, json=json)


def _trigger(
    cron: str | None,
    time_zone: str | None,
    above: float | None,
    measure: str | None,
    *,
    on_version: bool,
) -> dict[str, Any]:
    given: list[dict[str, Any]] = []
    if cron:
        given.append({"kind": "cron", "cron": cron, "time_zone": time_zone or "UTC"})
    if on_version:
        given.append({"kind": "on_version"})
    if above is not None:
        given.append({"kind": "drift", "above": above, "measure": measure or "popularity"})
    if len(given) != 1:
        raise InputError(
            "Give exactly one of --cron, --on-version and --drift-above, to say when jobs are made.",
            code="invalid_option",
        )
    if time_zone is not None and not cron:
        raise InputError("--time-zone can only be used with --cron.", code="invalid_option")
    if measure is not None and above is None:
        raise InputError("--drift-of can only be used with --drift-above.", code="invalid_option")
    return given[0]


@examples("dealrec schedules list")
def list_command(
    limit: LimitOption = 20,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List schedules, newest first, with their next due time and the outcomes of earlier ones."""
    with asking(server, key) as client:
        print_records(client.schedules.list(), _told, limit, json=json)


@examples("dealrec schedules run sch_01hxyz")
def run_command(
    schedule_id: ScheduleArgument,
    watch: WatchOption = False,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Make a job now, on the newest version, and print its id. The due times stay as they are."""
    with asking(server, key) as client:
        say_job(client, client.schedules.get(schedule_id).run(), watch=watch, wait=False, json=json)


@examples("dealrec schedules ticks sch_01hxyz")
def ticks_command(
    schedule_id: ScheduleArgument,
    limit: LimitOption = 20,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List the times at which a schedule was due, newest first, with the job or why there is none."""

    def told(tick: "ScheduleTick") -> list[str]:
        when = tick.due_at or tick.created_at
        asked = "requested" if tick.requested else ""
        missed = f"{tick.missed} missed before" if tick.missed else ""
        why = (tick.error or {}).get("detail", "")
        return [f"{when:%Y-%m-%d %H:%M}", tick.outcome, tick.job_id or "", asked, missed, why]

    with asking(server, key) as client:
        print_records(client.schedules.get(schedule_id).ticks(), told, limit, json=json)


@examples("dealrec schedules pause sch_01hxyz")
def pause_command(
    schedule_id: ScheduleArgument,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Pause a schedule. No jobs are made until it is resumed, and missed ones are not made up for."""
    with asking(server, key) as client:
        _say(client.schedules.get(schedule_id).update(active=False), json=json)


@examples("dealrec schedules resume sch_01hxyz")
def resume_command(
    schedule_id: ScheduleArgument,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Resume a paused schedule, starting with the next due time or version."""
    with asking(server, key) as client:
        _say(client.schedules.get(schedule_id).update(active=True), json=json)


@examples("dealrec schedules remove sch_01hxyz")
def remove_command(
    schedule_id: ScheduleArgument,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a schedule. The jobs that it has made stay."""
    with asking(server, key) as client:
        client.schedules.get(schedule_id).delete()
    say_deleted(schedule_id, json=json)


def _told(schedule: "Schedule[Any]") -> list[str]:
    """One line of a schedule."""
    state = "active" if schedule.active else "paused"
    trigger, counts = schedule.trigger, schedule.counts
    match trigger["kind"]:
        case "cron":
            when = f"{trigger['cron']} ({trigger['time_zone']})"
        case "drift":
            when = f"{trigger['measure']} above {trigger['above']:g}, now {schedule.drift or 0:.3f}"
        case _:
            when = "each new version"
    due = f"next {schedule.next_due[0]:%Y-%m-%d %H:%M} UTC" if schedule.next_due else ""
    became = f"{counts.made} made, {counts.missed} missed, {counts.skipped} skipped, {counts.failed} failed"
    why = (schedule.error or schedule.paused or {}).get("detail", "")
    return [schedule.id, state, schedule.name, when, due, became, why]


def _say(schedule: "Schedule[Any]", *, json: bool) -> None:
    if json:
        print_json(plain_record(schedule))
    else:
        say("  ".join(part for part in _told(schedule) if part))
