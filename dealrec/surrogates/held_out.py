"""Measures the loss of an earlier surrogate on rows that came after it, as a figure of drift."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import torch

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES, Dataset, Int32
from dealrec.data.drift import new_rows
from dealrec.metrics.ranking import CHUNK_ELEMENTS, pad
from dealrec.surrogates.ensemble import Ensemble
from dealrec.surrogates.growing import EarlierSurrogates
from dealrec.surrogates.interface import Surrogate

_MOST = 1000
"""The most rows that are asked of each kind, spread evenly over the users."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class HeldOutLosses:
    """Mean losses of the earlier surrogate in nats, over the items that it knows."""

    new_rows: int
    """The rows of the version that the one before did not have."""
    asked: int
    """The number of rows on which it was evaluated: it knows the item, and an earlier item of the user."""
    loss: float | None
    """Its loss on them; ``None`` where it was asked about none."""
    held_out_loss: float | None
    """Its loss on the held-out rows of the version before, which it did not learn either."""

    def metrics(self) -> dict[str, float]:
        """The losses that are there, by the names of metrics."""
        found = {
            "earlier_loss_on_new_rows": self.loss,
            "earlier_loss_held_out": self.held_out_loss,
        }
        return {name: value for name, value in found.items() if value is not None}


def held_out_losses(earlier: EarlierSurrogates, before: Dataset, now: Dataset) -> HeldOutLosses:
    """Ask the earlier surrogates about the rows of ``now`` that ``before``, their data set, does not have.

    The loss of a row is the cross-entropy of its item among all items of ``before``, after the items of
    ``before`` that the user has before it; the mean is over rows and over the surrogates. Beside it stands
    the loss on the held-out rows of ``before`` (test, else validation): the difference is what the data have
    moved. Items that are new have no loss; :func:`~dealrec.data.drift.drift` counts them.
    """
    came = new_rows(before, now)
    at = pc.index_in(now.item_ids, value_set=before.item_ids)
    ids = at.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    asked = _questions(now, ids[now.items], came)
    split = next((one for one in (Split.TEST, Split.VALID) if before.has(one)), None)
    reference: list[tuple[Int32, int]] = []
    if split is not None:
        reference = _questions(before, before.items, before.splits == SPLIT_CODES[split])
    models = [member.model for member in earlier.members]
    return HeldOutLosses(
        int(came.sum()), len(asked), _loss(models, asked), _loss(models, reference)
    )


def losses_left_out(
    earlier: EarlierSurrogates, ensemble: Ensemble, before: Dataset, now: Dataset
) -> dict[str, float]:
    """Ask the surrogates, before and after, about training rows of users whom they did not learn again.

    The difference says what they have forgotten. Both losses are those of :func:`held_out_losses`, each among
    all items that its surrogate knows; so with more items the later one is larger, too.
    """
    if earlier.repetition is None or earlier.repetition.whole:
        return {}
    rows = earlier.repetition.left_out(now)
    at = pc.index_in(now.item_ids, value_set=before.item_ids)
    ids = at.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    known = rows & (ids[now.items] >= 0)
    asked = _questions(now, ids[now.items], known)
    again = _questions(now, now.items, known)
    loss_before = _loss([one.model for one in earlier.members], asked)
    loss_after = _loss([one.model for one in ensemble.members], again)
    if loss_before is None or loss_after is None:
        return {}
    losses = {"left_out_loss_before": loss_before, "left_out_loss_after": loss_after}
    return {"left_out_asked": len(asked), **losses}


def _questions(dataset: Dataset, items: Int32, wanted: Bools) -> list[tuple[Int32, int]]:
    """Histories and targets at the ``wanted`` rows [N]; ``items`` [N] are -1 where they are not known."""
    known = items >= 0
    places = np.concatenate([[0], np.cumsum(known)])
    begins = places[dataset.offsets[:-1]][dataset.users()]
    rows = np.flatnonzero(wanted & known & (places[:-1] > begins))
    rows = rows[np.arange(min(_MOST, len(rows))) * len(rows) // max(1, min(_MOST, len(rows)))]
    kept = items[known]
    return [(kept[begins[row] : places[row]], int(items[row])) for row in rows.tolist()]


def _loss(models: list[Surrogate], questions: list[tuple[Int32, int]]) -> float | None:
    if not questions:
        return None
    means = [np.concatenate(list(_losses(model, questions))).mean() for model in models]
    return round(float(np.mean(means)), 6)


def _losses(
    model: Surrogate, questions: list[tuple[Int32, int]]
) -> Iterator[npt.NDArray[np.float64]]:
    score, size = model.ranker(), max(1, CHUNK_ELEMENTS // model.n_items)
    questions = sorted(questions, key=lambda one: len(one[0]))  # little padding
    for start in range(0, len(questions), size):
        chunk = questions[start : start + size]
        sequences, lengths = pad([one[0][-model.max_length :] for one in chunk], model.n_items)
        targets = torch.tensor([target for _, target in chunk])
        with torch.no_grad():
            scores = score(sequences, lengths)
            losses = torch.nn.functional.cross_entropy(scores, targets, reduction="none")
        yield losses.double().cpu().numpy()
