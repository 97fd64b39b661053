"""Validates files into a data set."""

from pathlib import Path

from dealrec.data.append import append
from dealrec.data.ingest import IngestResult, ingest
from dealrec.data.samples import train_lengths
from dealrec.progress import SILENT, Reporter
from dealrec.stages.context import IngestFiles, StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Save the data set. The details are the facts in the row of the data set."""
    assert context.files is not None
    if context.dataset == Path():
        result = ingest_files(context.files, context.out, context.reporter)
    else:
        result = append_files(context.dataset, context.files, context.out, context.reporter)
    details = {
        "counts": result.counts,
        "report": result.report,
        "sha256": result.dataset.sha256,
        "split": result.dataset.split_method.value,
        "train_lengths": train_lengths(result.dataset),
    }
    return StageResult(details)


def ingest_files(files: IngestFiles, out: Path, reporter: Reporter = SILENT) -> IngestResult:
    """Make a data set from ``files`` in ``out``; raises the errors of :func:`dealrec.data.ingest.ingest`."""
    roles = {"interactions": files.interactions, "items": files.items}
    return ingest(
        files.interactions.paths() if files.interactions else None,
        interactions_names=files.interactions.names() if files.interactions else None,
        items=files.items.paths() if files.items else None,
        items_names=files.items.names() if files.items else None,
        renamed={role: file.renames() for role, file in roles.items() if file is not None},
        samples=files.samples.paths() if files.samples else None,
        samples_names=files.samples.names() if files.samples else None,
        options=files.options,
        out=out,
        reporter=reporter,
    )


def append_files(
    parent: Path, files: IngestFiles, out: Path, reporter: Reporter = SILENT
) -> IngestResult:
    """Append ``files`` to the data set in ``parent``; raises as :func:`dealrec.data.append.append` does."""
    return append(
        parent,
        files.interactions.paths() if files.interactions else None,
        interactions_names=files.interactions.names() if files.interactions else None,
        items=files.items.paths() if files.items else None,
        items_names=files.items.names() if files.items else None,
        options=files.options,
        out=out,
        reporter=reporter,
    )
