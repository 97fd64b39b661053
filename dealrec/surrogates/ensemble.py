"""Several surrogates that differ in their seed alone. Averages over them depend less on the seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dealrec.config import SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.progress import SILENT, Reporter
from dealrec.surrogates.growing import EarlierSurrogates
from dealrec.surrogates.storage import FACTS, TrainedSurrogate, load_surrogate
from dealrec.surrogates.training import train_surrogate


@dataclass(frozen=True)
class Ensemble:
    """``M ≥ 1`` trained surrogates."""

    members: tuple[TrainedSurrogate, ...]

    @property
    def metrics(self) -> dict[str, float]:
        """The means of the members' metrics (and of their standard errors); ``seconds`` is the sum."""
        found = [member.metrics for member in self.members]
        means = {name: sum(one[name] for one in found) / len(found) for name in found[0]}
        return {**means, "seconds": sum(one["seconds"] for one in found)}

    @property
    def history(self) -> list[list[dict[str, float]]]:
        """Each member's history, see :class:`~dealrec.surrogates.storage.TrainedSurrogate`."""
        return [member.history for member in self.members]

    def save(self, folder: Path) -> None:
        """Write each member into a folder of its own, ``0`` to ``M - 1``."""
        for index, member in enumerate(self.members):
            member.save(folder / str(index))


def load_ensemble(folder: Path) -> Ensemble:
    """Read an ensemble that :meth:`Ensemble.save` wrote, onto the CPU."""
    return Ensemble(tuple(load_surrogate(path) for path in _saved(folder)))


def _member_configs(config: SurrogateConfig) -> list[SurrogateConfig]:
    """Return each member's configuration; the seeds are ``seed``, ``seed + 1``, …."""
    return [
        config.model_copy(update={"seed": config.seed + index, "ensemble": 1})
        for index in range(config.ensemble)
    ]


def train_ensemble(
    dataset: Dataset,
    config: SurrogateConfig,
    *,
    start: EarlierSurrogates | None = None,
    checkpoint_dir: Path | None = None,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> Ensemble:
    """Train ``config.ensemble`` surrogates one after the other.

    With ``start`` each goes on from the weights of its earlier self.
    With a ``checkpoint_dir``, finished members are not trained again. The errors are those of
    :func:`~dealrec.surrogates.training.train_surrogate`.
    """
    configs = _member_configs(config)
    progress = _MembersReporter(reporter, config.epochs, len(configs))
    members = []
    for index, member in enumerate(configs):
        kept = None if checkpoint_dir is None else checkpoint_dir / str(index)
        trained = train_surrogate(
            dataset,
            member,
            start=None if start is None else start.of_member(index),
            checkpoint_dir=kept,
            runtime=runtime,
            reporter=progress,
        )
        members.append(trained)
        progress.next_member()
    ensemble = Ensemble(tuple(members))
    if len(members) > 1:
        for name in ("test_recall@20", "test_ndcg@10"):
            if name in ensemble.metrics:
                reporter.metric(name, ensemble.metrics[name])
    return ensemble


class _MembersReporter:
    """Reports one member's epochs as a part of the epochs of all members."""

    def __init__(self, reporter: Reporter, epochs: int, members: int) -> None:
        self._reporter, self._epochs, self._left = reporter, epochs, members - 1
        self._before, self._own = 0, epochs
        self._member = 1 if members > 1 else 0
        """The number of the member, for the names of its curves; 0 if there is one alone."""

    def progress(self, done: int, total: int, unit: str) -> None:
        self._own = total
        after = self._left * self._epochs
        self._reporter.progress(self._before + done, self._before + total + after, unit)

    def metric(self, name: str, value: float) -> None:
        self._reporter.metric(name, value)

    def point(self, name: str, step: int, value: float) -> None:
        member = f"{name} {self._member}" if self._member else name
        self._reporter.point(member, step, value)

    def event(self, kind: str, **data: Any) -> None:
        self._reporter.event(kind, **data)

    def next_member(self) -> None:
        self._before, self._left = self._before + self._own, self._left - 1
        self._member += 1


def _saved(folder: Path) -> Iterator[Path]:
    index = 0
    while (folder / str(index) / FACTS).is_file():
        yield folder / str(index)
        index += 1
