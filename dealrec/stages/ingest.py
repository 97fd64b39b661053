"""Validates files into a data set."""

import numpy as np

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES, Dataset
from dealrec.data.ingest import ingest
from dealrec.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Save the data set; the details are what the row of the data set shows."""
    files = context.files
    assert files is not None
    result = ingest(
        files.interactions.paths(),
        interactions_name=files.interactions.name,
        items=files.items.paths() if files.items else None,
        items_name=files.items.name if files.items else None,
        options=files.options,
        out=context.out,
        reporter=context.reporter,
    )
    details = {
        "counts": result.counts,
        "report": result.report,
        "sha256": result.dataset.sha256,
        "split": result.dataset.split_method.value,
        "train_lengths": train_lengths(result.dataset),
    }
    return StageResult(details)


def train_lengths(dataset: Dataset) -> dict[str, int]:
    """The number of users for each number of training items, as JSON has it."""
    offsets, _ = dataset.subsequences((SPLIT_CODES[Split.TRAIN],))
    lengths, users = np.unique(np.diff(offsets), return_counts=True)
    return {str(length): int(count) for length, count in zip(lengths, users, strict=True)}
