"""Explanations of selections: reasons for samples, differences between coresets, other budgets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dealrec.app.coresets.schemas import (
    Coreset,
    CoresetDiff,
    Explanation,
    Reason,
    ScoreMass,
    ScoreTriple,
    StratumDiff,
    StratumUse,
    SweepCoverage,
    SweepPoint,
    SweepSelection,
)
from dealrec.app.kit.errors import NotFound
from dealrec.config import PruneConfig, SelectionConfig, SelectionMethod, resolve_budget
from dealrec.config.selectors import SELECTORS
from dealrec.coresets.writer import covered, read_scores
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples, build_samples
from dealrec.selection.interface import Float64, Scores, Selection
from dealrec.selection.normalisation import normalise
from dealrec.selection.select import select

_SHOWN_KEYS = 1000
_NO_STRATUM = -1
_NOT_CANDIDATE = "Left out: its effort was not measured, because it is not among the candidates."
_Mask = npt.NDArray[np.bool_]


def explain(scores: Path, coreset: Coreset, sample_key: str) -> Explanation:
    """Explain why ``sample_key`` is in the coreset of this ``scores.parquet``, or why not.

    Raises :class:`NotFound` if no sample has the key.
    """
    table, strata = pq.read_table(scores), coreset.coverage.strata
    row = pc.index(table["sample_key"], sample_key).as_py()
    if row < 0:
        raise NotFound.of("sample", sample_key)
    sample = table.slice(row, 1).to_pylist()[0]
    names = ("influence", "effort", "overall")
    index = sample["stratum"]
    stratum = None if index is None else next(use for use in strata if use.index == index)
    unmeasured = sample["effort"] is None and table["effort"].null_count < len(table)
    if unmeasured and stratum is None:
        reason, detail = Reason.NOT_CANDIDATE, _NOT_CANDIDATE
    else:
        reason, detail = _reason(stratum, selected=sample["selected"], alone=len(strata) == 1)
        detail += _how(coreset.selection["method"])
    return Explanation(
        coreset_id=coreset.id,
        sample_key=sample_key,
        selected=sample["selected"],
        reason=reason,
        detail=detail,
        scores=ScoreTriple(**{name: sample[name] for name in names}),
        percentiles=ScoreTriple(**{name: _percentile(table[name], sample[name]) for name in names}),
        stratum=stratum,
        quota=None if stratum is None else stratum.selected,
    )


def _reason(stratum: StratumUse | None, *, selected: bool, alone: bool) -> tuple[Reason, str]:
    """Say why; ``alone`` means that all samples are one stratum, which is then not worth a word."""
    if stratum is None:
        return Reason.HARD_PRUNED, (
            "Left out: its overall score is among the highest, which are dropped before strata are cut."
        )
    where = "" if alone else f" in stratum {stratum.index}"
    was = "was" if stratum.selected == 1 else "were"
    told = f"{stratum.selected:,} of the {stratum.available:,} samples{where} {was} selected"
    if not selected:
        return Reason.OUTSIDE_QUOTA, f"Left out: {told}, and this sample is not one of them."
    if stratum.selected == stratum.available:
        return (
            Reason.WHOLE_STRATUM,
            f"Selected: all {stratum.available:,} samples{where} were selected.",
        )
    return Reason.WITHIN_QUOTA, f"Selected: {told}, and this sample is one of them."


def _how(method: str) -> str:
    """Say what the coreset's method does, which is the other half of the reason."""
    summary = SELECTORS[SelectionMethod(method)].summary
    return f" The method `{method}` {summary[0].lower()}{summary[1:]}"


def _percentile(column: pa.ChunkedArray, value: float | None) -> float | None:
    if value is None:
        return None
    values = column.drop_null().to_numpy()
    below, equal = int((values < value).sum()), int((values == value).sum())
    return 100 * (below + equal / 2) / len(values)


def diff(scores: Path, other_members: Path, coreset_id: str, against: str) -> CoresetDiff:
    """Compare the coreset of this ``scores.parquet`` with one of these members."""
    table = pq.read_table(scores, columns=["sample_key", "stratum", "selected"])
    keys, theirs = table["sample_key"], pq.read_table(other_members, columns=["sample_key"])[0]
    ours: _Mask = table["selected"].to_numpy()
    common: _Mask = pc.is_in(keys, value_set=theirs).to_numpy()
    # The other job may have samples that this job never scored, if this one needs a longer history.
    unknown = theirs.filter(pc.invert(pc.is_in(theirs, value_set=keys)))
    kept, gained, lost = ours & common, ours & ~common, ~ours & common
    gone = pa.chunked_array([*keys.filter(pa.array(lost)).chunks, *unknown.chunks], pa.string())
    union = int(ours.sum()) + len(gone)
    return CoresetDiff(
        coreset_id=coreset_id,
        against=against,
        kept=int(kept.sum()),
        gained=int(gained.sum()),
        lost=len(gone),
        jaccard=int(kept.sum()) / union,
        strata=_strata(table["stratum"], kept, gained, lost, len(unknown)),
        gained_keys=keys.filter(pa.array(gained)).slice(0, _SHOWN_KEYS).to_pylist(),
        lost_keys=gone.slice(0, _SHOWN_KEYS).to_pylist(),
    )


def _strata(
    column: pa.ChunkedArray, kept: _Mask, gained: _Mask, lost: _Mask, unknown: int
) -> list[StratumDiff]:
    """Count the differences in every stratum with samples; samples without a stratum come last."""
    stratum = column.fill_null(_NO_STRATUM).to_numpy()
    found = []
    for index in np.unique(stratum).tolist():
        here = stratum == index
        found.append(
            StratumDiff(
                index=None if index == _NO_STRATUM else index,
                kept=int(kept[here].sum()),
                gained=int(gained[here].sum()),
                lost=int(lost[here].sum()),
            )
        )
    if found[0].index is None:
        found.append(found.pop(0))
    elif unknown:
        found.append(StratumDiff(index=None, kept=0, gained=0, lost=0))
    found[-1].lost += unknown
    return found


def budget_sweep(
    folder: Path, scores: Path, config: PruneConfig, budgets: Sequence[int | float]
) -> list[SweepPoint]:
    """Describe the selection at each budget, beside a random one of the same size and seed.

    ``folder`` is the stored data set. Raises :class:`InputError` (``budget_too_large``).
    """
    dataset = Dataset.load(folder)
    samples = build_samples(dataset, config.sampling, config.min_history)
    raw = read_scores(scores, samples)
    control = config.selection.model_copy(update={"method": SelectionMethod.RANDOM})
    counts = [resolve_budget(budget, len(raw)) for budget in budgets]
    points = []
    for budget, count in zip(budgets, counts, strict=True):
        chosen = _described(samples, raw, select(raw, count, config.selection), config.selection)
        random = _described(samples, raw, select(raw, count, control), config.selection)
        points.append(SweepPoint(budget=budget, samples=count, random=random, **dict(chosen)))
    return points


def _described(
    samples: Samples, scores: Scores, selection: Selection, config: SelectionConfig
) -> SweepSelection:
    taken = selection.indices
    strata = sum(use.selected > 0 for use in selection.strata)

    def mass(raw: Float64, normalised: Float64) -> ScoreMass:
        total = float(normalised.sum())
        share = float(normalised[taken].sum()) / total if total else None
        return ScoreMass(mean=float(raw[taken].mean()), share=share)

    return SweepSelection(
        coverage=SweepCoverage(**covered(samples, taken), strata=strata),
        influence=None
        if scores.influence is None
        else mass(scores.influence, normalise(scores.influence, config.normalisation)),
        effort=None
        if scores.effort is None or scores.candidates is not None
        else mass(scores.effort, normalise(scores.effort, config.normalisation)),
        overall=mass(selection.overall, selection.overall),
    )
