"""Preference: how much of a user's next choice a recommender reads from the user's history, in nats.

Every held-out user is set ``C`` candidates: the title that the user chose, and titles that other
held-out users chose. So the candidates are alike in popularity, age, length and wording, and a model can
tell them apart by the history alone. ``M[u, t]``, the negative log-likelihood of title ``t`` after the
history of user ``u``, still differs between titles by tens of nats, because some titles are long or
rare. The mean of a title over histories is subtracted first; what is left was read from the history.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax

Floats = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]

PREFERENCE = "preference"
AUC_ADJ = "auc_adj"
AUC = "auc"
HIT = "hit@1"
GAIN = "gain"
NLL_OTHERS = "nll_others"
METRICS = (PREFERENCE, AUC_ADJ, AUC, HIT, GAIN, NLL_OTHERS)
"""The names of the metrics of :func:`preference_metrics`, in their order."""

_FOLDS = 5
_SHARPEST = 30.0
"""The temperature may multiply the standard deviation of the scores to no more than this."""


class Candidates(NamedTuple):
    """The items that held-out users choose among."""

    items: Int32
    """[U, C] dense items; column 0 is the user's own answer."""
    familiar: int
    """How many of them have the title of an item that their user has had, for lack of others."""


def draw_candidates(
    answers: Int32, had: Sequence[Int32], title_of_item: Int32, count: int, seed: int
) -> Candidates:
    """Draw the candidates of ``U`` held-out users.

    The others of a row are answers of other users. No two of a row have equal titles, and none has the
    title of an item that the user has had, unless too few others are left. The users stand in a random
    circle, and each is set the answers of the users at the same random distances, so every answer is a
    candidate equally often; a distance whose answer cannot be used is skipped.

    Args:
        answers: [U] the item that each user chose.
        had: [U] all items of each user, in every split.
        title_of_item: [I] the number of each item's title; items with equal titles share a number.
        count: The columns that are wanted; there are fewer if the answers have fewer different titles.
        seed: Decides the circle and the distances.
    """
    users, draw = len(answers), np.random.default_rng([seed, 0x9EF])
    count = min(count, len(np.unique(title_of_item[answers])))
    place = draw.permutation(users)
    circle = answers[np.argsort(place)]
    distances = draw.permutation(np.arange(1, users))
    rows, familiar = np.empty((users, count), dtype=np.int32), 0
    for user, own in enumerate(answers.tolist()):
        row = {int(title_of_item[own]): own}
        around = circle[(place[user] + distances) % users]
        known = np.isin(title_of_item[around], title_of_item[had[user]])
        for item in around[np.argsort(known, kind="stable")].tolist():
            if len(row) == count:
                break
            row.setdefault(int(title_of_item[item]), item)
        rows[user] = list(row.values())
        familiar += int(np.isin(list(row)[1:], title_of_item[had[user]]).sum())
    return Candidates(rows, familiar)


def preference_metrics(losses: Floats, titles: Int32) -> dict[str, Floats]:
    """Compute the metrics of each of ``U`` users, by name, each [U].

    With ``s[u, t]`` the mean of ``M[·, t]`` over all histories less ``M[u, t]``:

    - ``preference``: ``log C`` less the cross-entropy of picking the own title by ``softmax(τ s[u, ·])``.
      The temperature ``τ >= 0`` is fitted on other users (five folds). 0 means that nothing is read
      from histories, ``log C`` is the most; a user on whom the model is wrong has less than 0.
    - ``auc_adj``: the share of the other candidates with a smaller ``s``; an equal one counts half.
    - ``auc``: the same of ``-M[u, t]``, with nothing subtracted.
    - ``hit@1``: whether the own title has the largest ``s``; equal ones share the hit.
    - ``gain`` and ``nll_others``: the negative log-likelihood of the own title is
      ``nll_others - gain``. ``nll_others`` is its mean after the histories of other users, which format
      and popularity decide; ``gain`` is what the own history adds. A title that no other user was
      asked about has no gain.

    Args:
        losses: [U, C] ``M`` in nats; column 0 is of the title that the user chose.
        titles: [U, C] the number of each candidate's title.

    Raises:
        ValueError: There are fewer than two users or two candidates, or a loss is not a finite number.
    """
    users, count = losses.shape
    if users < 2 or count < 2:
        raise ValueError("preference takes two users and two candidates")
    if not np.isfinite(losses).all():
        raise ValueError("the loss of a candidate is not a finite number")
    found, numbers = np.unique(titles, return_inverse=True)
    numbers = numbers.reshape(titles.shape)
    times = np.bincount(numbers.ravel(), minlength=len(found))
    sums = np.bincount(numbers.ravel(), weights=losses.ravel(), minlength=len(found))
    scores = (sums / times)[numbers] - losses
    own, of_own = losses[:, 0], numbers[:, 0]
    others = times[of_own] - 1
    nll_others = np.where(others > 0, (sums[of_own] - own) / np.maximum(others, 1), own)
    values = (
        _preference(scores),
        _share_below(scores),
        _share_below(-losses),
        _hits(scores),
        nll_others - own,
        nll_others,
    )
    return dict(zip(METRICS, values, strict=True))


def _preference(scores: Floats) -> Floats:
    """Compute the nats of each user by the temperature of the users in the other folds."""
    users, count = scores.shape
    folds = np.arange(users) % min(_FOLDS, users)
    found = np.empty(users)
    for fold in np.unique(folds):
        asked = folds == fold
        sharp = _temperature(scores[~asked]) * scores[asked]
        found[asked] = np.log(count) - (logsumexp(sharp, axis=1) - sharp[:, 0])
    return found


def _temperature(scores: Floats) -> float:
    """Find the ``τ >= 0`` at which picking column 0 of [n, C] has the least cross-entropy.

    The cross-entropy is convex in ``τ``, so its slope has one root at most.
    """

    def slope(temperature: float) -> float:
        weights = softmax(temperature * scores, axis=1)
        return float(((weights * scores).sum(1) - scores[:, 0]).mean())

    spread = float(scores.std())
    if spread == 0 or slope(0.0) >= 0:
        return 0.0
    most = _SHARPEST / spread
    return most if slope(most) <= 0 else float(brentq(slope, 0.0, most, xtol=1e-9 * most))


def _share_below(scores: Floats) -> Floats:
    own, others = scores[:, :1], scores[:, 1:]
    below: Floats = (others < own).mean(1) + (others == own).mean(1) / 2
    return below


def _hits(scores: Floats) -> Floats:
    best = scores == scores.max(1, keepdims=True)
    hits: Floats = best[:, 0] / best.sum(1)
    return hits
