"""Validates files into a data set."""

from pathlib import Path

import numpy as np

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES, Dataset
from dealrec.data.ingest import IngestResult, ingest
from dealrec.progress import SILENT, Reporter
from dealrec.stages.context import IngestFiles, StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Save the data set; the details are what the row of the data set shows."""
    assert context.files is not None
    result = ingest_files(context.files, context.out, context.reporter)
    details = {
        "counts": result.counts,
        "report": result.report,
        "sha256": result.dataset.sha256,
        "split": result.dataset.split_method.value,
        "train_lengths": train_lengths(result.dataset),
    }
    return StageResult(details)


def ingest_files(files: IngestFiles, out: Path, reporter: Reporter = SILENT) -> IngestResult:
    """Make a data set of ``files`` in ``out``; raises as :func:`dealrec.data.ingest.ingest`."""
    return ingest(
        files.interactions.paths() if files.interactions else None,
        interactions_name=files.interactions.name if files.interactions else None,
        items=files.items.paths() if files.items else None,
        items_name=files.items.name if files.items else None,
        samples=files.samples.paths() if files.samples else None,
        samples_name=files.samples.name if files.samples else None,
        options=files.options,
        out=out,
        reporter=reporter,
    )


def train_lengths(dataset: Dataset) -> dict[str, int]:
    """The number of users for each number of training items, as JSON has it."""
    offsets, _ = dataset.subsequences((SPLIT_CODES[Split.TRAIN],))
    lengths, users = np.unique(np.diff(offsets), return_counts=True)
    return {str(length): int(count) for length, count in zip(lengths, users, strict=True)}
