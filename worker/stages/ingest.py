"""Validates uploaded files into a data set."""

import numpy as np

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES, Dataset
from dealrec.data.ingest import ingest
from dealrec.worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The folder of the data set; details are what the data set's row shows."""
    files = context.files
    assert files is not None
    result = ingest(
        files.interactions,
        interactions_name=files.interactions_name,
        items=files.items,
        items_name=files.items_name,
        columns=files.columns,
        split=files.split,
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
    """Number of training items to the number of users that have so many."""
    offsets, _ = dataset.subsequences((SPLIT_CODES[Split.TRAIN],))
    lengths, users = np.unique(np.diff(offsets), return_counts=True)
    return {str(length): int(count) for length, count in zip(lengths, users, strict=True)}
