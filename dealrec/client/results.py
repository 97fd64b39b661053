"""The contents of coresets and the results of jobs: requests that only read."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dealrec.client.binding import operation, sequence
from dealrec.client.downloads import fetch_file
from dealrec.client.exchange import ask, fetched
from dealrec.client.files import read_parquet
from dealrec.client.lists import listed
from dealrec.client.records import (
    CoresetDiff,
    CoresetSample,
    Curve,
    Event,
    Explanation,
    Histogram,
    M,
    Record,
    Remote,
    SampleText,
    SweepPoint,
)
from dealrec.client.stream import followed
from dealrec.client.transport import Request

if TYPE_CHECKING:
    import pyarrow as pa


class ScoredSample(SampleText):
    """A sample with its scores, in the coreset or not."""

    influence: float | None = None
    effort: float | None = None
    overall: float | None = None
    stratum: int | None = None
    selected: bool


class Neighbour(ScoredSample):
    """A sample that is similar to another one."""

    similarity: float
    """The cosine of the two samples' vectors, at most 1."""


class MapPoint(Record):
    """A sample on the map."""

    sample_key: str
    target: str
    """The target's title."""
    x: float
    """From 0 to 1, as ``y``; both axes have one scale."""
    y: float
    influence: float | None = None
    effort: float | None = None
    overall: float | None = None
    stratum: int | None = None
    selected: bool
    at_random: bool
    """Whether a random selection of the same size takes it."""


class SampleMap(Record):
    """The samples on the two directions in which their vectors differ most (principal components)."""

    object: str
    coreset_id: str
    source: str
    """The vectors that are compared: ``surrogate`` or ``language_model`` (their embeddings), or ``items``."""
    explained: tuple[float, float]
    """The shares of the vectors' variance that the two directions have."""
    samples: int
    """All samples; more than there are points if they are too many."""
    points: list[MapPoint]


class Verdict(Record):
    """The finding of a comparison about a selection like that of a coreset."""

    job_id: str
    name: str
    """The comparison's name."""
    selector: str
    budget: int
    """The number of samples in the comparison, which may differ a little from the coreset's."""
    better_than_random: bool | None = None
    """``None`` if no difference from random selection was shown."""
    finding: str
    """The finding in plain words."""


class CoresetContents(Remote[M]):
    """The members of a coreset, similar samples, and facts about its selection."""

    @sequence
    async def samples(self) -> AsyncIterator[CoresetSample]:
        """Iterate over the members in dense order."""
        async for entry in listed(self.transport, f"{self.path}/samples"):
            yield CoresetSample.model_validate(entry)

    @operation
    async def manifest(self) -> dict[str, Any]:
        """Fetch the manifest, which has everything needed to reproduce the coreset."""
        answer = await fetched(self.transport, f"{self.path}/manifest")
        manifest: dict[str, Any] = answer
        return manifest

    @operation
    async def download_report(self, path: str | Path) -> Path:
        """Download the report: one page on the scores and the selection that needs no network."""
        request = Request("GET", f"{self.path}/report")
        return await fetch_file(self.transport, request, path)

    @operation
    async def explain(self, sample_key: str) -> Explanation:
        """Explain why a sample is in the coreset, or why it is not."""
        answer = await fetched(
            self.transport, f"{self.path}/explanation", {"sample_key": sample_key}
        )
        return Explanation.model_validate(answer)

    @operation
    async def neighbours(self, sample_key: str, *, limit: int = 10) -> list[Neighbour]:
        """List the samples most similar to a given one, selected or not, the most similar first.

        They are compared by embeddings if a job on the data set has made some, otherwise by the items
        that they share.
        """
        asked = {"sample_key": sample_key, "limit": limit}
        answer = await fetched(self.transport, f"{self.path}/neighbours", asked)
        return [Neighbour.model_validate(entry) for entry in answer["data"]]

    @operation
    async def map(self, *, limit: int = 2000) -> SampleMap:
        """Place at most ``limit`` samples, selected or not, on a plane where similar ones are close."""
        answer = await fetched(self.transport, f"{self.path}/map", {"limit": limit})
        return SampleMap.model_validate(answer)

    @operation
    async def diff(self, against: str) -> CoresetDiff:
        """Compare the members with those of the coreset whose id is ``against``."""
        answer = await fetched(self.transport, f"{self.path}/diff", {"against": against})
        return CoresetDiff.model_validate(answer)

    @sequence
    async def scored_samples(
        self,
        *,
        sort: str = "order",
        descending: bool = False,
        selected: bool | None = None,
        stratum: int | None = None,
        low: float | None = None,
        high: float | None = None,
        target: str | None = None,
        text: str | None = None,
        area: Sequence[tuple[float, float]] | None = None,
    ) -> AsyncIterator[ScoredSample]:
        """Iterate over the samples from which the coreset was selected, selected or not.

        Args:
            sort: ``order`` (that of the data set), ``influence``, ``effort``, ``overall`` or ``stratum``.
            descending: Whether the highest come first.
            selected: ``True`` for those in the coreset, ``False`` for those left out, ``None`` for all.
            stratum: Only those of this stratum.
            low: The lowest value of the score that is sorted by.
            high: The highest value of the score that is sorted by.
            target: A text in the title or id of the target.
            text: A text in a title or id of the history or the target.
            area: Only those inside the outline through these corners ``(x, y)`` of the :meth:`map`.
        """
        query = {
            "sort": sort,
            "descending": descending,
            "selected": selected,
            "stratum": stratum,
            "low": low,
            "high": high,
            "target": target,
            "text": text,
            "area": area and " ".join(f"{x},{y}" for x, y in area),
        }
        async for entry in listed(self.transport, f"{self.path}/scored-samples", query):
            yield ScoredSample.model_validate(entry)

    @operation
    async def verdicts(self) -> list[Verdict]:
        """Fetch the findings of comparisons about selections like this one, of about this size."""
        answer = await fetched(self.transport, f"{self.path}/verdicts")
        return [Verdict.model_validate(one) for one in answer["data"]]


class JobResults(Remote[M]):
    """The events, curves, scores and reports of a job."""

    @sequence
    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        """Iterate over its events so far, oldest first, after sequence number ``after``."""
        path = f"{self.path}/events"
        async for entry in listed(self.transport, path, {"after": str(after)}):
            yield Event.model_validate(entry)

    @sequence
    async def follow(self, after: int = 0) -> AsyncIterator[Event]:
        """Iterate over its events as they happen, until it ends; a lost connection loses none."""
        async for event in followed(self.transport, f"{self.path}/events", after):
            yield event

    @operation
    async def metrics(self) -> list[Curve]:
        """Fetch the curves of its stages so far: losses and learning rates, step by step."""
        answer = await ask(self.transport, Request("GET", f"{self.path}/metrics"))
        return [Curve.model_validate(one) for one in answer.json()["series"]]

    @operation
    async def budget_sweep(self, budgets: Sequence[float]) -> list[SweepPoint]:
        """Describe its selection at other budgets; no coreset is stored."""
        query = {"budgets": ",".join(f"{budget}" for budget in budgets)}
        answer = await fetched(self.transport, f"{self.path}/budget-sweep", query)
        return [SweepPoint.model_validate(point) for point in answer["data"]]

    @operation
    async def scores(self) -> "pa.Table":
        """Fetch ``influence``, ``effort``, ``overall``, ``stratum`` and ``selected`` of every sample."""
        path = f"{self.path}/scores/download"
        answer = await ask(self.transport, Request("GET", path, {"format": "parquet"}))
        return await self.transport.call(read_parquet, answer.content)

    @operation
    async def download_scores(
        self,
        path: str | Path,
        *,
        format: str = "parquet",  # noqa: A002
        progress: bool = False,
    ) -> Path:
        """Download :meth:`scores` as a file in the format ``parquet`` or ``csv``."""
        request = Request("GET", f"{self.path}/scores/download", {"format": format})
        return await fetch_file(self.transport, request, path, progress=progress)

    @operation
    async def histogram(self, score: str = "overall", bins: int = 50) -> Histogram:
        """Fetch the histogram of a score over all samples and over the selected ones."""
        answer = await fetched(
            self.transport, f"{self.path}/scores/histogram", {"score": score, "bins": bins}
        )
        return Histogram.model_validate(answer)

    @operation
    async def report(self) -> dict[str, Any]:
        """Fetch the report of a job of kind ``comparison``."""
        answer = await ask(self.transport, self._report_as("json"))
        report: dict[str, Any] = answer.json()
        return report

    @operation
    async def download_report(
        self,
        path: str | Path,
        *,
        format: str = "html",  # noqa: A002
    ) -> Path:
        """Download the report as ``html`` or ``json``, or the figures behind it as ``parquet``."""
        return await fetch_file(self.transport, self._report_as(format), path)

    def _report_as(self, kind: str) -> Request:
        return Request("GET", f"{self.path}/report", {"format": kind})
