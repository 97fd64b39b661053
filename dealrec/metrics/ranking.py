"""Recall@K and NDCG@K over the full catalogue, in chunks of users.

Every user of a split counts once, and all of the user's distinct items of that split are answers. The
whole catalogue is ranked without the items that the user was seen with before (in training for
``valid``; in training and validation for ``test``). So an answer that is itself a seen item cannot be
reached and counts as missed. Recall@K is hits / answers; NDCG@K is the discounted gain divided by that
of the best order. An item with an equal score counts as half a place, so a model that gives all items
the same score ranks every answer in the middle, whatever its index.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES, Dataset, Int32, Int64

CUTOFFS = (5, 10, 20, 50)
METRICS = tuple(f"{name}@{cutoff}" for name in ("recall", "ndcg") for cutoff in CUTOFFS)
CHUNK_ELEMENTS = 1 << 21
"""Scores held at once (users of a chunk times items), few enough for a processor's cache."""

Scorer = Callable[[Tensor, Tensor], Tensor]
"""[B, T] sequences padded on the right, [B] lengths → [B, I] scores."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RankingMetrics:
    """Means over users, their standard errors, and the number of users."""

    values: dict[str, float]
    """``recall@K`` and ``ndcg@K``."""
    standard_errors: dict[str, float]
    users: int


@dataclass(frozen=True)
class Questions:
    """A history and its answers for each of ``Q`` users, whose catalogue is to be ranked.

    They are ordered by the length of the history, so that a chunk of them needs little padding.
    """

    histories: list[Int32]
    """Dense items that the user was seen with, oldest first."""
    answers: list[Int32]
    """Distinct dense items, ascending."""


def build_questions(dataset: Dataset, split: Split, at_most: int | None = None) -> Questions:
    """Ask the users who have an item in ``split`` and at least one item before it.

    If there are more than ``at_most``, that many are asked, spread evenly over the lengths of their
    histories.
    """
    before = tuple(code for code in SPLIT_CODES.values() if code < SPLIT_CODES[split])
    history_offsets, history_items = dataset.subsequences(before)
    answer_offsets, answer_items = dataset.subsequences((SPLIT_CODES[split],))
    lengths = np.diff(history_offsets)
    users = np.flatnonzero((np.diff(answer_offsets) > 0) & (lengths > 0))
    users = users[np.argsort(lengths[users], kind="stable")]
    if at_most is not None and len(users) > at_most:
        users = users[np.arange(at_most) * len(users) // at_most]
    return Questions(
        histories=[_part(history_items, history_offsets, user) for user in users.tolist()],
        answers=[np.unique(_part(answer_items, answer_offsets, user)) for user in users.tolist()],
    )


def _part(items: Int32, offsets: Int64, user: int) -> Int32:
    return items[offsets[user] : offsets[user + 1]]


def evaluate_ranking(
    scorer: Scorer,
    questions: Questions,
    *,
    n_items: int,
    max_length: int,
    device: torch.device | None = None,
    on_chunk: Callable[[], None] = lambda: None,
) -> RankingMetrics:
    """Rank the catalogue for each question; ``on_chunk`` is called between chunks.

    The scorer sees the last ``max_length`` items of a history. Raises ``ValueError`` if it gives a
    score that is not a finite number, or if there is no question.
    """
    if not questions.histories:
        raise ValueError("there is no user to evaluate on")
    size = max(1, CHUNK_ELEMENTS // n_items)
    parts = []
    for start in range(0, len(questions.histories), size):
        on_chunk()
        histories = questions.histories[start : start + size]
        answers = questions.answers[start : start + size]
        sequences, lengths = pad([history[-max_length:] for history in histories], n_items)
        with torch.no_grad():
            scores = scorer(sequences.to(device), lengths.to(device)).clone()
            parts.append(user_metrics(scores, histories, answers))
    return _summary(np.concatenate(parts))


def pad(sequences: list[Int32], padding: int) -> tuple[Tensor, Tensor]:
    """Pad rows on the right to the longest; return [B, T] int64 and their lengths [B] int64."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    rows = np.full((len(sequences), int(lengths.max())), padding, dtype=np.int64)
    rows[np.arange(rows.shape[1]) < lengths[:, None]] = np.concatenate(sequences)
    return torch.from_numpy(rows), torch.from_numpy(lengths)


def user_metrics(scores: Tensor, histories: list[Int32], answers: list[Int32]) -> Floats:
    """Compute [b, metrics] of ``METRICS`` for [b, I] ``scores``; scores of seen items are overwritten.

    Raises ``ValueError`` if a score is not a finite number.
    """
    ranks = _answer_ranks(scores, histories, answers)
    return _user_metrics(ranks, np.array([len(answer) for answer in answers]))


def _answer_ranks(scores: Tensor, histories: list[Int32], answers: list[Int32]) -> Floats:
    """Compute the places (from 1) of all answers, user after user; infinite for a removed answer.

    If ``a`` of ``I`` items score above an answer, ``b`` below it, and the others, itself included, the
    same, its place is ``1 + a + (I - a - b - 1) / 2 = (1 + I + a - b) / 2``. One pass over the scores
    gives ``a - b``, the sum of the signs of the differences.
    """
    if not bool(torch.isfinite(scores.sum(1)).all()):
        raise ValueError("a score of the ranking is not a finite number")
    rows, seen = _flat(histories, scores.device)
    scores[rows, seen] = -math.inf
    rows, asked = _flat(answers, scores.device)
    own = scores[rows, asked]
    ranks = np.empty(len(rows))
    for start in range(0, len(rows), len(scores)):
        part = slice(start, start + len(scores))
        signs = scores[rows[part]].sub_(own[part, None]).sign_().sum(1)
        ranks[part] = ((1 + scores.shape[1] + signs) / 2).cpu().numpy()
    ranks[(own == -math.inf).cpu().numpy()] = math.inf
    return ranks


def _flat(lists: list[Int32], device: torch.device) -> tuple[Tensor, Tensor]:
    rows = np.repeat(np.arange(len(lists)), [len(part) for part in lists])
    items = np.concatenate(lists).astype(np.int64)
    return torch.from_numpy(rows).to(device), torch.from_numpy(items).to(device)


def _user_metrics(ranks: Floats, counts: npt.NDArray[np.int64]) -> Floats:
    """Compute [users, 2 × cutoffs]: recall at each cutoff, then NDCG at each."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    columns = [
        np.add.reduceat((ranks <= cutoff).astype(float), starts) / counts for cutoff in CUTOFFS
    ]
    ideal = np.cumsum(1 / np.log2(np.arange(2, max(CUTOFFS) + 2)))
    for cutoff in CUTOFFS:
        gains = np.where(ranks <= cutoff, 1 / np.log2(ranks + 1), 0.0)
        columns.append(np.add.reduceat(gains, starts) / ideal[np.minimum(counts, cutoff) - 1])
    return np.stack(columns, axis=1)


def _summary(users: Floats) -> RankingMetrics:
    count = len(users)
    spread = users.std(axis=0, ddof=1) if count > 1 else np.full(len(METRICS), math.nan)
    return RankingMetrics(
        values=dict(zip(METRICS, users.mean(axis=0).tolist(), strict=True)),
        standard_errors=dict(zip(METRICS, (spread / math.sqrt(count)).tolist(), strict=True)),
        users=count,
    )
