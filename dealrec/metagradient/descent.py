"""The selector ``metagradient``: it improves a coreset by differentiating through a training on it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt
import torch

from dealrec.config import Normalisation, SelectionConfig
from dealrec.config.selection_training import encoder_of
from dealrec.config.stages.select import training_steps
from dealrec.metagradient.encoder import Parameters, titles_of_samples, titles_of_users
from dealrec.metagradient.risk import ValidationRisk
from dealrec.metagradient.training import Training
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.projection import whitening
from dealrec.selection.interface import Float64, Scores, Selection, priorities
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_groups
from dealrec.selection.titles import TitleTable

Members = npt.NDArray[np.bool_]

_FIRST_SHARE = 0.3
"""The share of the coreset that the first exchange may replace; it falls linearly to nothing."""
_POOL_OF_BUDGET = 4


@dataclass(frozen=True)
class Round:
    """A coreset, the risk after training on it, and the derivative of that risk."""

    members: Members
    """[n]."""
    risk: float
    """The mean risk of validation users after the trainings, in nats."""
    slopes: Float64
    """[n] the derivative of the risk by the weight of each sample; negative if a sample lowers the risk."""


@dataclass(frozen=True)
class Descent:
    """Exchanges samples of a coreset for others that would lower the risk of validation users.

    The derivative is exact only to first order and near the present coreset, but an exchange is a large
    step. So every round trains again, with its own orders of the samples, and the coreset with the lowest
    risk of all rounds is selected.
    """

    training: Training
    risk: ValidationRisk
    exchanges: int
    trainings: int
    on_step: Callable[[], None] = lambda: None
    """Called before each step of the backward pass."""

    def rounds(self, members: Members) -> Iterator[Round]:
        """Yield the first coreset and the one after each exchange; end early when no exchange would help."""
        for number in range(self.exchanges + 1):
            found = self._measured(members, number)
            yield found
            members = exchanged(found, self._share(number))
            if np.array_equal(members, found.members):
                return

    def _share(self, number: int) -> float:
        return _FIRST_SHARE * (1 - number / (self.exchanges + 1))

    def _measured(self, members: Members, number: int) -> Round:
        inside, outside = (torch.from_numpy(np.flatnonzero(one)) for one in (members, ~members))
        risks, slopes = [], np.zeros(len(members))
        for each in range(self.trainings):
            seed = np.random.default_rng([self.training.config.seed, number, each]).integers(2**31)
            training = self.training.with_seed(int(seed))
            risk, found = training.metagradient(inside, outside, self.risk, self.on_step)
            risks.append(risk)
            slopes += found.double().numpy() / self.trainings
        return Round(members, float(np.mean(risks)), slopes)


def exchanged(found: Round, share: float) -> Members:
    """Replace up to ``share`` of the coreset, the worst members by the best others, where that helps."""
    inside, outside = np.flatnonzero(found.members), np.flatnonzero(~found.members)
    most = min(max(1, int(share * len(inside))), len(outside))
    leaves = inside[np.argsort(-found.slopes[inside], kind="stable")[:most]]
    enters = outside[np.argsort(found.slopes[outside], kind="stable")[:most]]
    better = found.slopes[leaves] > found.slopes[enters]
    members = found.members.copy()
    members[leaves[better]], members[enters[better]] = False, True
    return members


def select_by_metagradient(
    scores: Scores, budget: int, config: SelectionConfig, reporter: Reporter = SILENT
) -> Selection:
    """Select by metagradient descent (Engstrom et al. 2025, arXiv 2503.13751) on a small recommender.

    The recommender is the encoder that a comparison trains (:mod:`~dealrec.metagradient.encoder`). Each
    round trains it on the coreset, which is random at first, computes the derivative of the risk of
    validation users by the weight of every sample through the training (MAGIC, Ilyas and Engstrom 2025,
    arXiv 2504.16430), and exchanges the worst samples of the coreset for the best others. The paper
    updates continuous weights for a far larger model and rounds them; here whole samples are exchanged,
    and fewer in each round.

    If there are more than ``pool`` samples, only a random pool of them is considered, which is stratum 1.
    It has at least four times the budget. The coreset of a larger budget does not contain that of a
    smaller one. The overall score is the negated derivative at the selected coreset, so samples that
    lower the risk score high.
    """
    table = scores.titles
    assert table is not None and table.validation is not None
    order = np.argsort(priorities(scores, config.seed), kind="stable")
    pool = np.sort(order[: max(config.pool, _POOL_OF_BUDGET * budget)]).astype(np.int64)
    members = np.isin(pool, order[:budget])
    overall, groups = np.zeros(len(scores)), np.zeros(len(scores), dtype=np.int32)
    groups[pool] = 1
    if budget < len(pool):
        with _one_thread():
            best = _descended(table.take(pool), members, config, reporter)
        members = best.members
        overall[pool] = normalise(-best.slopes, Normalisation.MINMAX)
    return as_groups(pool[members], overall, groups)


def _descended(
    table: TitleTable, members: Members, config: SelectionConfig, reporter: Reporter
) -> Round:
    assert table.validation is not None
    training = starting_training(table, config)
    decay = training.config.encoder.decay
    risk = ValidationRisk(titles_of_users(training.titles, table.validation, decay))
    done, total = count(), training_steps(config, int(members.sum()))
    descent = Descent(
        training,
        risk,
        config.rounds,
        config.trainings,
        on_step=lambda: reporter.progress(next(done), total, "step"),
    )
    best: Round | None = None
    for number, found in enumerate(descent.rounds(members)):
        reporter.point("validation_preference", number, risk.chance - found.risk)
        if best is None or found.risk < best.risk:
            best = found
    assert best is not None
    return best


def starting_training(table: TitleTable, config: SelectionConfig) -> Training:
    """Make the training on the samples of ``table``; its projection starts as the whitening of all titles."""
    trained = encoder_of(config)
    titles = titles_of_samples(table, trained.encoder.decay)
    dimensions = min(trained.encoder.dimensions, titles.states.shape[1])
    return Training(titles, Parameters(*whitening(titles.states, dimensions)), trained)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run on one thread: sums depend on the number of threads, and the selection depends on the sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
