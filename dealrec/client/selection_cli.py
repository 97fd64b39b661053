"""Commands about the selection of a job: another one, the reason for a sample, the difference of two."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

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
from dealrec.options import JsonOption, configuration
from dealrec.terminal import Panel, add_commands, examples, print_json, say

CoresetArgument = Annotated[str, typer.Argument(metavar="CORESET", help="Id of a coreset (cs_…).")]
SampleArgument = Annotated[
    str, typer.Argument(metavar="SAMPLE", help="Key of a sample, as in coreset.jsonl.")
]
_SHOWN = 10
"""How many keys of gained and lost samples to print."""


def register(application: typer.Typer) -> None:
    """Add the subcommands of this module."""
    commands: dict[str, Callable[..., None]] = {
        "reselect": reselect_command,
        "explain": explain_command,
        "neighbours": neighbours_command,
        "diff": diff_command,
    }
    add_commands(application, commands, panel=Panel.RESULTS)


@examples(
    "dealrec reselect job_01hxyz --budget 1%",
    "dealrec reselect job_01hxyz --set method=dealrec --set strata=20",
)
def reselect_command(
    job_id: JobArgument,
    budget: Annotated[
        str | None, typer.Option(help="A count, or a share such as 2%; default: the job's.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of the selection, such as strata=25. Can be repeated.",
        ),
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Select another coreset from the scores of a job, which takes seconds.

    A selector that needs more than these scores runs as a job of its own; the command waits until it ends.
    """
    selection = configuration(None, set_ or []) or None
    requested = None if budget is None else parse_budget(budget)
    with asking(server, key) as client:
        job = client.jobs.get(job_id)
        coreset = job.reselect(requested, selection=selection, progress=not json)
    if json:
        print_json(plain_record(coreset))
        return
    say(f"{coreset.id}  {counted(coreset.size, 'sample')} by {coreset.selection.get('method')}")
    say(f"sha256 {coreset.sha256}")
    tell_warnings(coreset.warnings)


@examples("dealrec explain cs_01hxyz 17")
def explain_command(
    coreset_id: CoresetArgument,
    sample_key: SampleArgument,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Explain why a sample is in a coreset, or why it is not."""
    with asking(server, key) as client:
        found = client.coresets.get(coreset_id).explain(sample_key)
    if json:
        print_json(plain_record(found))
        return
    say(f"{sample_key}: {found.detail}")
    for name in ("influence", "effort", "overall"):
        score, share = getattr(found.scores, name), getattr(found.percentiles, name)
        if score is not None:
            place = "" if share is None else f"  {_place(share)}"
            say(f"  {name:<10} {score:.6g}{place}")


@examples("dealrec neighbours cs_01hxyz 17", "dealrec neighbours cs_01hxyz 17 --limit 3 --json")
def neighbours_command(
    coreset_id: CoresetArgument,
    sample_key: SampleArgument,
    limit: Annotated[
        int, typer.Option(min=1, max=100, help="The largest number of samples to list.")
    ] = 10,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List the samples most similar to a given one, selected or not, the most similar first.

    They are compared by embeddings if a job on the data set has made some, otherwise by the items that
    they share.
    """
    with asking(server, key) as client:
        found = client.coresets.get(coreset_id).neighbours(sample_key, limit=limit)
    if json:
        print_json({"data": [plain_record(one) for one in found]})
        return
    for one in found:
        taken = "selected" if one.selected else "left out"
        say(f"{one.similarity:.3f}  {taken:<8}  {one.sample_key:<12}  {one.output}")


@examples("dealrec diff cs_01hxyz cs_01habc")
def diff_command(
    coreset_id: Annotated[
        str,
        typer.Argument(
            metavar="CORESET",
            help="Id of a coreset (cs_…), or an output folder of `dealrec prune`.",
        ),
    ],
    against: Annotated[
        str, typer.Argument(metavar="AGAINST", help="The coreset, or folder, to compare it with.")
    ],
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Compare two coresets: which samples are in both, only in the first, and only in the second.

    For two output folders of `dealrec prune` it also compares the scores, for example those of a
    continued run and of a full run. This needs no server.
    """
    if Path(coreset_id).is_dir() and Path(against).is_dir():
        _say_differences(Path(coreset_id), Path(against), json=json)
        return
    with asking(server, key) as client:
        found = client.coresets.get(coreset_id).diff(against)
    if json:
        print_json(plain_record(found))
        return
    both = f"{counted(found.kept, 'sample')} {'is' if found.kept == 1 else 'are'} in both"
    say(f"{both}; Jaccard similarity {found.jaccard:.3f}")
    _say_keys(f"{found.gained:,} only in {coreset_id}", found.gained_keys)
    _say_keys(f"{found.lost:,} only in {against}", found.lost_keys)


def _say_differences(one: Path, other: Path, *, json: bool) -> None:
    from dealrec.coresets.differences import differences

    found = differences(one, other)
    if json:
        print_json({**asdict(found), "jaccard": found.jaccard})
        return
    for line in found.lines():
        say(line)


def _say_keys(head: str, keys: list[str]) -> None:
    more = ", …" if len(keys) > _SHOWN else ""
    say(head + (f": {', '.join(keys[:_SHOWN])}{more}" if keys else ""))


def _place(percentile: Any) -> str:
    return f"higher than that of {percentile:.1f} % of all samples"
