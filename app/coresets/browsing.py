"""All samples that a coreset was selected from: filtered, sorted, with their words and scores."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fastapi import Depends, Query

from dealrec.app.datasets.schemas import SampleText
from dealrec.app.datasets.service import sample_text
from dealrec.app.kit.errors import NotFound
from dealrec.app.kit.pagination import Page, PageRequest
from dealrec.config import PruneConfig
from dealrec.coresets.landscape import inside
from dealrec.data.dataset import Dataset
from dealrec.data.given import GivenSamples
from dealrec.data.prompter import Prompter
from dealrec.data.samples import Samples, build_samples
from dealrec.errors import FieldError, InputError

_Mask = npt.NDArray[np.bool_]
_Places = npt.NDArray[np.float32]
_Text = Annotated[str | None, Query(max_length=1000)]
_LEAST_CORNERS = 3
_FACTS = ("sample_key", "influence", "effort", "overall", "stratum", "selected")


class SortBy(StrEnum):
    """The order in which samples are listed."""

    ORDER = "order"
    """Their dense order, which is that of the data set."""
    INFLUENCE = "influence"
    EFFORT = "effort"
    OVERALL = "overall"
    STRATUM = "stratum"


@dataclass(frozen=True)
class SampleQuery:
    """Which samples are listed, and in which order."""

    sort: SortBy = SortBy.ORDER
    descending: bool = False
    """Whether the highest come first. Samples without the score come last in either order."""
    selected: bool | None = None
    """True: those in the coreset; false: those left out; null: all."""
    stratum: int | None = None
    low: float | None = None
    """The lowest value of the score that is sorted by."""
    high: float | None = None
    target: _Text = None
    """Only samples whose target has this text in its title or id."""
    text: _Text = None
    """Only samples with this text in a title or id of the history or the target."""
    left: float | None = None
    """The bounds of a box on the map of the samples, from 0 to 1. All four must be given together."""
    right: float | None = None
    bottom: float | None = None
    top: float | None = None
    area: Annotated[str | None, Query(max_length=5000)] = None
    """The corners of an area on the map: `x,y x,y x,y …`, at least three, from 0 to 1."""

    @property
    def on_the_map(self) -> bool:
        """Whether places on the map decide which samples are listed."""
        return self.box is not None or bool(self.area)

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """Left, right, bottom and top, if all are given."""
        left, right, bottom, top = self.left, self.right, self.bottom, self.top
        if left is None or right is None or bottom is None or top is None:
            return None
        return left, right, bottom, top

    def corners(self) -> _Places | None:
        """[c, 2] the corners of the area, if there is one; raises :class:`InputError` (``invalid_area``)."""
        if not self.area:
            return None
        try:
            found = np.array([pair.split(",") for pair in self.area.split()], np.float32)
        except ValueError:
            found = np.empty((0, 2), np.float32)
        if len(found) < _LEAST_CORNERS or found.shape[1] != 2 or not np.isfinite(found).all():
            raise InputError(
                "An area has at least three corners, such as `0.1,0.1 0.9,0.1 0.5,0.8`.",
                code="invalid_area",
                title="The area on the map cannot be used",
                errors=[FieldError("area", "must have at least three corners `x,y`")],
            )
        return found


SampleQueryDep = Annotated[SampleQuery, Depends()]


class ScoredSample(SampleText):
    """A sample in words with its scores, in the coreset or not."""

    influence: float | None
    effort: float | None
    overall: float | None
    stratum: int | None
    selected: bool


class ScoredSamples(Page[ScoredSample]):
    """A page of samples; ``matches`` says how many there are on all pages."""

    matches: int


@dataclass(frozen=True)
class Pool:
    """The samples that a coreset was selected from, with their scores."""

    dataset: Dataset
    samples: Samples
    scores: pa.Table
    """The coreset's ``scores.parquet``, whose rows are in the order of the samples."""
    prompter: Prompter

    @classmethod
    def load(cls, folder: Path, scores: Path, config: PruneConfig) -> "Pool":
        """Read the stored data set in ``folder``; ``config`` is that of the job that made the scores."""
        dataset = Dataset.load(folder)
        samples = build_samples(dataset, config.sampling, config.min_history)
        prompter = Prompter(dataset, samples, config.prompt)
        return cls(dataset, samples, pq.read_table(scores), prompter)

    def index(self, sample_key: str) -> int:
        """Find a sample by its key; raises :class:`NotFound`."""
        index: int = pc.index(self.scores["sample_key"], sample_key).as_py()
        if index < 0:
            raise NotFound.of("sample", sample_key)
        return index

    def facts(self, index: int) -> dict[str, Any]:
        """The key and the scores of a sample, by the names that schemas use."""
        return {name: self.scores[name][index].as_py() for name in _FACTS}

    def scored(self, index: int) -> ScoredSample:
        """Put a sample into words beside its scores."""
        facts = self.facts(index)
        key = facts.pop("sample_key")
        text = sample_text(self.dataset, self.samples, self.prompter, key, index)
        return ScoredSample(**text.model_dump(), **facts)


def browse(
    pool: Pool, query: SampleQuery, request: PageRequest, places: _Places | None = None
) -> ScoredSamples:
    """List the samples that ``query`` asks for; ``places`` [n, 2] is their map, if that decides."""
    wanted = _wanted(pool, query)
    if places is not None and query.box is not None:
        left, right, bottom, top = query.box
        wanted &= (places >= (left, bottom)).all(axis=1) & (places <= (right, top)).all(axis=1)
    corners = query.corners()
    if places is not None and corners is not None:
        wanted &= inside(places, corners)
    found = np.flatnonzero(wanted)
    if query.sort is not SortBy.ORDER:
        values = _numbers(pool.scores, query.sort.value)[found]
        found = found[_order(values, descending=query.descending)]
    first = 0 if request.after is None else (request.position() or 0) + 1
    shown = found[first : first + request.limit]
    last = first + len(shown)
    more = last < len(found)
    return ScoredSamples(
        data=[pool.scored(int(index)) for index in shown],
        has_more=more,
        next=str(last - 1) if more else None,
        matches=len(found),
    )


def _wanted(pool: Pool, query: SampleQuery) -> _Mask:
    table, dataset, samples = pool.scores, pool.dataset, pool.samples
    wanted = np.ones(len(table), bool)
    if query.selected is not None:
        wanted &= table["selected"].to_numpy() == query.selected
    if query.stratum is not None:
        wanted &= _numbers(table, "stratum") == query.stratum
    if query.sort is not SortBy.ORDER:
        values = _numbers(table, query.sort.value)
        if query.low is not None:
            wanted &= values >= query.low
        if query.high is not None:
            wanted &= values <= query.high
    if query.target:
        wanted &= _target_named(dataset, samples, query.target)
    if query.text and samples.given is not None and not samples.has_ids:
        wanted &= _said(samples.given, query.text)
    elif query.text:
        passed = np.append(0, np.cumsum(_named(dataset, query.text)[samples.items]))
        wanted &= passed[samples.target + 1] > passed[samples.start]
    return wanted


def _numbers(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """[n] a column as numbers, NaN where it is null."""
    numbers: npt.NDArray[np.float64] = table[name].cast(pa.float64()).fill_null(np.nan).to_numpy()
    return numbers


def _order(values: npt.NDArray[np.float64], *, descending: bool) -> npt.NDArray[np.int64]:
    """[n] the order of ``values``; equal ones stay in dense order, and NaN comes last."""
    return np.argsort(-values if descending else values, kind="stable")


def _target_named(dataset: Dataset, samples: Samples, text: str) -> _Mask:
    """[n] whether a sample's target has ``text`` in its title or id; of texts without ids, its answer."""
    if samples.given is not None and not samples.has_ids:
        return _contains(samples.given.texts.field("output"), text)
    return _named(dataset, text)[samples.targets]


def _said(given: GivenSamples, text: str) -> _Mask:
    """[n] whether ``text`` is in a sample's request or answer."""
    parts = [
        _contains(given.texts.field(name), text)
        for name in ("before", "history", "after", "output")
    ]
    mask: _Mask = np.any(parts, axis=0)
    return mask


def _contains(column: pa.Array, text: str) -> _Mask:
    found = pc.match_substring(column, text.strip(), ignore_case=True)
    mask: _Mask = found.to_numpy(zero_copy_only=False)
    return mask


def _named(dataset: Dataset, text: str) -> _Mask:
    """[I] whether an item's title or id contains ``text`` in any case."""
    return _contains(dataset.titles, text) | _contains(dataset.item_ids, text)
