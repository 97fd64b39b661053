"""``dealrec inspect``."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from dealrec.errors import InputError
from dealrec.options import Asked, InteractionsOrSamples, JsonOption, SamplesOption, reads_data
from dealrec.terminal import examples, print_json, say, stage_display, tell


@examples(
    "dealrec inspect interactions.csv --items items.csv",
    "dealrec inspect ratings.dat --set data.layout=movielens_1m",
)
@reads_data
def inspect_command(
    interactions: InteractionsOrSamples = None,
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    samples: SamplesOption = None,
    *,
    asked: Asked,
    json: JsonOption = False,
) -> None:
    """Show how your files would be read and which rows would be accepted. Nothing is stored.

    The exit status is 2 if the files are rejected.
    """
    from dealrec.data.findings import validation_lines
    from dealrec.data.inspection import inspection_lines
    from dealrec.sources import source_files
    from dealrec.stages.ingest import ingest_files

    with (
        tempfile.TemporaryDirectory(prefix="dealrec-") as scratch,
        stage_display(quiet=json) as stages,
        source_files(interactions, items, asked.data, samples) as files,
    ):
        try:
            result = ingest_files(files, Path(scratch) / "dataset", stages("ingest"))
        except InputError as error:
            if not json:
                for line in inspection_lines(error.members.get("files", []), []):
                    say(line)
            raise
    split = result.dataset.split_method.value
    if json:
        facts = {"split": split, "sha256": result.dataset.sha256, "counts": result.counts}
        print_json({**facts, "report": result.report})
        return
    for line in (
        *inspection_lines(result.report["files"], result.report["examples"]),
        *validation_lines(result.report),
        _counted(result.counts, split),
        f"sha256 {result.dataset.sha256}",
    ):
        say(line)
    tell("Nothing was stored.")


def _counted(counts: Mapping[str, Any], split: str) -> str:
    if not counts["items"]:
        return (
            f"texts without ids, {counts['users']:,} users; by {split} {counts['train']:,} train, "
            f"{counts['valid']:,} validate, {counts['test']:,} test"
        )
    return (
        f"{counts['users']:,} users, {counts['items']:,} items, {counts['interactions']:,} interactions; "
        f"by {split} {counts['train']:,} train, {counts['valid']:,} validate, {counts['test']:,} test; "
        f"{counts['samples_per_user']:,} samples, or {counts['samples_per_interaction']:,} with "
        "sampling=per_interaction"
        + (
            f"; {counts['samples_given']:,} with texts of their own"
            if counts["samples_given"]
            else ""
        )
    )
