"""Summarises the data set's shape."""

import json

import numpy as np
import pyarrow.compute as pc

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES, Dataset
from dealrec.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Write ``audit.json``; the metrics are the same figures.

    ``history_median`` and ``history_p90`` are training items a user, ``popular_share`` the share of the
    training interactions that go to the most popular items, ``unseen_share`` the share of held-out
    interactions whose item no user has in training, ``repeated_share`` the share of interactions with
    an item that the user had before, ``shared_titles`` the share of items whose title another item has.
    """
    assert context.config.audit is not None
    found = audit(context.load_dataset(None), context.config.audit.popular)
    (context.out / "audit.json").write_text(json.dumps(found, indent=2) + "\n")
    context.reporter.progress(1, 1, "data set")
    return StageResult(metrics=found)


def audit(dataset: Dataset, popular: float) -> dict[str, float]:
    """The figures that :func:`run` describes; shares of nothing are 0."""
    training = dataset.splits == SPLIT_CODES[Split.TRAIN]
    lengths = np.bincount(dataset.users()[training], minlength=dataset.n_users)
    bought = np.bincount(dataset.items[training], minlength=dataset.n_items)
    head = np.sort(bought)[::-1][: max(1, int(popular * dataset.n_items))]
    pairs = dataset.users() * np.int64(dataset.n_items) + dataset.items
    titles = pc.value_counts(dataset.titles).field("counts").to_numpy()
    return {
        "history_median": float(np.median(lengths)),
        "history_p90": float(np.quantile(lengths, 0.9)),
        "popular_share": _share(head.sum(), training.sum()),
        "unseen_share": _share((bought[dataset.items[~training]] == 0).sum(), (~training).sum()),
        "repeated_share": _share(len(pairs) - len(np.unique(pairs)), len(pairs)),
        "shared_titles": _share(titles[titles > 1].sum(), dataset.n_items),
    }


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else 0.0
