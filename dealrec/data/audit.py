"""The shape of a data set: single figures, and distributions to draw."""

import numpy as np
import pyarrow.compute as pc
from pydantic import BaseModel

from dealrec.config import Split
from dealrec.config.audit import AuditConfig
from dealrec.data.dataset import SPLIT_CODES, Dataset, Int64
from dealrec.data.times import date_of, unit_of

_MOST_SPANS = 40
_HEADS = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
"""The shares of the items, the most popular first, at which popularity is told."""


class SplitCounts(BaseModel):
    """Interactions by split."""

    train: int
    valid: int
    test: int


class TimeSpanCounts(SplitCounts):
    """The interactions of one of the equally long spans that the data set's time is cut into."""

    start: int
    """The first timestamp of the span; it ends before the start of the next one."""
    label: str
    """``start`` as a date, or as the number that it is."""


class LengthCount(BaseModel):
    """The users with so many training interactions."""

    low: int
    high: int
    """Inclusive."""
    users: int


class HeadShare(BaseModel):
    """How much of the training interactions the most popular items take."""

    items: int
    share_of_items: float
    share_of_interactions: float


class DatasetShape(BaseModel):
    """What decides whether there is anything to learn, as figures and as distributions."""

    splits: SplitCounts
    figures: dict[str, float]
    """See :func:`audit`."""
    over_time: list[TimeSpanCounts]
    """Empty where the data set has no timestamps."""
    history_lengths: list[LengthCount]
    """Ranges that double in width from five on; empty ones in between are kept."""
    popularity: list[HeadShare]

    def lines(self) -> list[str]:
        """The shape in words: a line for each of its parts that there is."""
        figures = self.figures
        counts = ", ".join(f"{count:,} for {split}" for split, count in self.splits)
        lengths = (
            f"median {figures['history_median']:g}, 90th percentile {figures['history_p90']:g}"
        )
        lines = [
            f"interactions: {counts}",
            f"training items of a user: {lengths}",
            f"repeated interactions: {figures['repeated_share']:.1%}",
            f"items with a shared title: {figures['shared_titles']:.1%}",
        ]
        lines += [
            f"users with {one.low:,} to {one.high:,} training items: {one.users:,}"
            if one.low < one.high
            else f"users with {one.low:,} training items: {one.users:,}"
            for one in self.history_lengths
        ]
        lines += [
            f"the {one.items:,} most popular items ({one.share_of_items:.1%}) take "
            f"{one.share_of_interactions:.1%} of the training interactions"
            for one in self.popularity
            if one.share_of_items < 1
        ]
        if self.over_time:
            first, last = self.over_time[0].label, self.over_time[-1].label
            lines.append(f"time: from {first} to the span that begins at {last}")
        return lines


def dataset_shape(dataset: Dataset) -> DatasetShape:
    """Count what :class:`DatasetShape` has; a data set without interactions has zeros and empty lists."""
    training = dataset.splits == SPLIT_CODES[Split.TRAIN]
    return DatasetShape(
        splits=SplitCounts(**_by_split(np.bincount(dataset.splits, minlength=len(SPLIT_CODES)))),
        figures=audit(dataset, AuditConfig().popular),
        over_time=_over_time(dataset),
        history_lengths=_lengths(np.bincount(dataset.users()[training])),
        popularity=_heads(np.bincount(dataset.items[training], minlength=dataset.n_items)),
    )


def audit(dataset: Dataset, popular: float) -> dict[str, float]:
    """Compute single figures; shares of nothing are 0.

    ``history_median`` and ``history_p90`` are training items a user, ``popular_share`` the share of the
    training interactions that go to the ``popular`` share of items that are most popular, ``unseen_share``
    the share of held-out interactions whose item no user has in training, ``repeated_share`` the share of
    interactions with an item that the user had before, ``shared_titles`` the share of items whose title
    another item has.
    """
    training = dataset.splits == SPLIT_CODES[Split.TRAIN]
    lengths = np.bincount(dataset.users()[training], minlength=dataset.n_users)
    bought = np.bincount(dataset.items[training], minlength=dataset.n_items)
    head = np.sort(bought)[::-1][: max(1, int(popular * dataset.n_items))]
    pairs = dataset.users() * np.int64(dataset.n_items) + dataset.items
    titles = pc.value_counts(dataset.titles).field("counts").to_numpy()
    return {
        "history_median": float(np.median(lengths)) if len(lengths) else 0.0,
        "history_p90": float(np.quantile(lengths, 0.9)) if len(lengths) else 0.0,
        "popular_share": _share(head.sum(), training.sum()),
        "unseen_share": _share((bought[dataset.items[~training]] == 0).sum(), (~training).sum()),
        "repeated_share": _share(len(pairs) - len(np.unique(pairs)), len(pairs)),
        "shared_titles": _share(titles[titles > 1].sum(), dataset.n_items),
    }


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else 0.0


def _by_split(counts: Int64) -> dict[str, int]:
    return {split.value: int(counts[code]) for split, code in SPLIT_CODES.items()}


def _over_time(dataset: Dataset) -> list[TimeSpanCounts]:
    times = dataset.times
    if times is None or not len(times):
        return []
    unit, first, last = unit_of(times), int(times.min()), int(times.max())
    spans = min(_MOST_SPANS, last - first + 1)
    starts = [first + (last - first + 1) * place // spans for place in range(spans)]
    places = np.searchsorted(np.array(starts), times, side="right") - 1
    width = len(SPLIT_CODES)
    counts = np.bincount(places * width + dataset.splits, minlength=spans * width)
    return [
        TimeSpanCounts(start=start, label=date_of(start, unit), **_by_split(here))
        for start, here in zip(starts, counts.reshape(spans, width), strict=True)
    ]


def _lengths(lengths: Int64) -> list[LengthCount]:
    found: list[LengthCount] = []
    low = high = 1
    while low <= lengths.max(initial=0):
        inside = (lengths >= low) & (lengths <= high)
        found.append(LengthCount(low=low, high=high, users=int(inside.sum())))
        low, high = high + 1, high + 1 if high < 5 else 2 * high
    return found


def _heads(bought: Int64) -> list[HeadShare]:
    if not bought.sum():
        return []
    passed = np.cumsum(np.sort(bought)[::-1])
    counts = dict.fromkeys(max(1, round(share * len(bought))) for share in _HEADS)
    return [
        HeadShare(
            items=items,
            share_of_items=items / len(bought),
            share_of_interactions=float(passed[items - 1] / passed[-1]),
        )
        for items in counts
    ]
