"""Reads what a job takes over from the earlier job from which it continues."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dealrec.config import EffortConfig, PruneConfig, SurrogateConfig
from dealrec.config.continuation import DATASET, continuation_not_possible
from dealrec.config.language_models import content
from dealrec.config.stages import StageName
from dealrec.coresets.writer import MANIFEST, MEMBERS
from dealrec.data.dataset import Dataset
from dealrec.data.fingerprints import sample_fingerprints
from dealrec.data.samples import Samples, build_samples
from dealrec.effort.scores import EffortScores
from dealrec.surrogates.ensemble import load_ensemble
from dealrec.surrogates.growing import EarlierSurrogates
from dealrec.surrogates.repeating import Repetition

_RECHECKED = 4
"""The number of samples with a kept effort that are measured again, as a check."""
_BOUNDS = {"float32": 1e-3, "bfloat16": 0.05}
"""The largest relative difference between both measurements that is accepted, by number type. Other
batches and other processors change a norm by about 1e-5 in float32; bfloat16 rounds each number by up to
4e-3."""

Bools = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]


def earlier_surrogates(
    earlier: Mapping[str, Path], config: SurrogateConfig, dataset: Dataset, replay: float
) -> tuple[EarlierSurrogates, Dataset]:
    """The surrogates to go on from, with the users of ``dataset`` that they learn again, and their own data.

    Raises :class:`InputError` (``continuation_not_possible``).
    """
    folder = earlier.get(StageName.SURROGATE)
    if folder is None or DATASET not in earlier:
        raise continuation_not_possible("its surrogate or its data set has been deleted.")
    before = Dataset.load(earlier[DATASET])
    again = Repetition.draw(before, dataset, replay)
    found = EarlierSurrogates(load_ensemble(folder).members, before.item_ids, again)
    found.require_alike(config)
    return found, before


@dataclass(frozen=True)
class Recheck:
    """The difference between efforts that were measured again and the kept ones."""

    rechecked: int
    largest: float | None
    """The largest difference, relative to the larger value; ``None`` if nothing was measured again."""
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the kept efforts can be used."""
        return self.largest is None or self.largest <= self.bound

    def account(self, kept: int) -> dict[str, object]:
        """Return the check as the manifest records it; ``kept`` counts the samples that were not measured."""
        return {
            "kept": kept,
            "rechecked": self.rechecked,
            "largest_relative_difference": self.largest,
            "bound": self.bound,
        }


@dataclass(frozen=True)
class KeptEffort:
    """Effort that an earlier job measured on samples whose texts are the same now."""

    scores: Float64
    """[n] in the dense order of the present samples; NaN if no effort is kept."""
    tokens: npt.NDArray[np.int32]
    """[n] the number of tokens of these samples; 0 if no effort is kept."""
    bound: float
    """The largest relative difference that the check accepts."""

    @property
    def there(self) -> Bools:
        """[n] whether an effort is kept."""
        kept: Bools = ~np.isnan(self.scores)
        return kept

    def to_measure(self, pool: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the samples of ``pool`` without a kept effort, and a few with one, as a check."""
        kept = pool[self.there[pool]]
        few = kept[
            np.arange(min(_RECHECKED, len(kept))) * len(kept) // max(1, min(_RECHECKED, len(kept)))
        ]
        return np.sort(np.concatenate([pool[~self.there[pool]], few]))

    def recheck(self, measured: EffortScores) -> Recheck:
        """Compare the new measurements with the kept efforts."""
        both = ~np.isnan(measured.scores) & self.there
        now, kept = measured.scores[both], self.scores[both]
        scale = np.maximum(np.maximum(np.abs(now), np.abs(kept)), np.finfo(np.float64).tiny)
        differ = np.abs(now - kept) / scale
        return Recheck(len(differ), float(differ.max()) if len(differ) else None, self.bound)

    def filled(
        self, measured: EffortScores, pool: npt.NDArray[np.int64], check: Recheck
    ) -> EffortScores:
        """Return the new measurements, completed with the kept efforts for the rest of ``pool``."""
        now = ~np.isnan(measured.scores)
        fill = np.zeros(len(now), bool)
        fill[pool] = True
        fill &= ~now & self.there
        scores, tokens = measured.scores.copy(), measured.tokens.copy()
        scores[fill], tokens[fill] = self.scores[fill], self.tokens[fill]
        told = {**measured.diagnostics, "continued": check.account(int(fill.sum()))}
        return EffortScores(scores, tokens, told)


def kept_effort(
    earlier: Mapping[str, Path], config: PruneConfig, dataset: Dataset, samples: Samples
) -> KeptEffort | None:
    """Load the effort that can be kept; ``None`` if there is none, or it was measured in another way.

    The effort of a sample is kept if its key, the items of its history and target with their texts and
    times, the model, the options and the prompt are all the same.
    """
    folder, chosen = earlier.get(StageName.EFFORT), earlier.get(StageName.SELECT)
    if folder is None or chosen is None or DATASET not in earlier or samples.given is not None:
        return None
    manifest = json.loads((chosen / MANIFEST).read_text())
    before = PruneConfig.parse(manifest["config"])
    revision = manifest["stages"].get("effort", {}).get("revision")
    assert config.effort is not None
    same = (
        before.effort is not None
        and _measuring(before) == _measuring(config)
        and revision is not None
        and revision == _revision(config.effort)
    )
    if not same:
        return None
    old = Dataset.load(earlier[DATASET])
    then = build_samples(old, before.sampling, before.min_history)
    had, now = sample_fingerprints(old, then), sample_fingerprints(dataset, samples)
    at = pc.index_in(samples.keys(dataset), value_set=then.keys(old))
    known = at.is_valid().to_numpy(zero_copy_only=False)
    places = pc.fill_null(at, 0).to_numpy()
    alike = known & (had[places] == now)
    effort = EffortScores.load(folder)
    return KeptEffort(
        np.where(alike, effort.scores[places], np.nan),
        np.where(alike, effort.tokens[places], 0),
        _BOUNDS[config.effort.dtype],
    )


def _revision(effort: EffortConfig) -> str | None:
    """Return the revision that a measurement records for its model; ``None`` if not known in advance."""
    plain = content(effort.model).get("revision")
    if plain is None or effort.adapter is None:
        return None if plain is None else str(plain)
    from dealrec.language_models.adapters import adapted_revision

    return adapted_revision(str(plain), Path(effort.adapter).expanduser())


def earlier_members(earlier: Mapping[str, Path], dataset: Dataset, samples: Samples) -> pa.Array:
    """Return the members of the earlier coreset by their present keys; null for those that no longer exist.

    A late row shifts the positions that are part of the keys, and a new row makes another item the
    target. So samples are matched by user, target and the time of the target.
    """
    folder = earlier.get(StageName.SELECT)
    if folder is None or DATASET not in earlier:
        raise continuation_not_possible("its coreset or its data set has been deleted.")
    members = pq.read_table(folder / MEMBERS, columns=["sample_key"])["sample_key"].combine_chunks()
    if samples.given is not None:
        return members
    before = PruneConfig.parse(json.loads((folder / MANIFEST).read_text())["config"])
    old = Dataset.load(earlier[DATASET])
    then = build_samples(old, before.sampling, before.min_history)
    at = pc.index_in(_choices(dataset, samples), value_set=_choices(old, then))
    names = then.keys(old).take(at)
    return samples.keys(dataset).take(pc.index_in(members, value_set=names))


def _choices(dataset: Dataset, samples: Samples) -> pa.Array:
    """Identify each sample [n] by user, item and time; without times, by a count of equal choices."""
    when = samples.target_times
    if when is None:
        pairs = samples.users.astype(np.int64) * dataset.n_items + samples.targets
        order = np.argsort(pairs, kind="stable")
        when = np.empty(len(pairs), np.int64)
        when[order] = np.arange(len(pairs)) - np.searchsorted(pairs[order], pairs[order])
    users = dataset.user_ids.take(pa.array(samples.users))
    items = dataset.item_ids.take(pa.array(samples.targets))
    return pc.binary_join_element_wise(users, items, pa.array(when).cast(pa.string()), "\0")


def _measuring(config: PruneConfig) -> dict[str, object]:
    """Return everything that an effort depends on besides the samples."""
    include = {"sampling", "min_history", "prompt", "effort"}
    dumped = config.model_dump(mode="json", include=include)
    leave_out = ("shard_samples", "candidates", "batch_tokens", "adapter")  # its content counts
    effort = {name: value for name, value in dumped["effort"].items() if name not in leave_out}
    return {**dumped, "effort": effort}
