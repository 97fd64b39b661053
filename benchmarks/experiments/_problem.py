"""The data that experiments run on, and the scores of its samples, kept between commands."""

import hashlib
from collections.abc import Callable, Set
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from dealrec.config import EffortConfig, PromptConfig, PruneConfig, Split
from dealrec.config.runtime import Runtime
from dealrec.config.selectors import Need
from dealrec.config.stages import StageName, extra_stages
from dealrec.data.dataset import SPLIT_CODES, Dataset
from dealrec.data.ingest import ingest
from dealrec.data.samples import Samples, build_samples
from dealrec.difficulty.scores import DifficultyScores
from dealrec.difficulty.scoring import score_difficulty
from dealrec.disk import written_whole
from dealrec.effort.scores import EffortScores
from dealrec.effort.scoring import score_effort
from dealrec.embedding.making import embed
from dealrec.gradients.making import project_gradients
from dealrec.influence.averaging import score_ensemble
from dealrec.influence.fidelity.halves import small_problem
from dealrec.influence.scores import InfluenceScores
from dealrec.progress import Reporter, StageReporters
from dealrec.selection.interface import Scores
from dealrec.selection.vectors import MadeVectors
from dealrec.surrogates.ensemble import Ensemble, load_ensemble, train_ensemble

PROMPT = PromptConfig(item_noun="game", history_items=5, title_characters=60)
"""Short texts, so that two cores can read many of them."""


class _Kept(Protocol):
    @property
    def diagnostics(self) -> dict[str, Any]: ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Self: ...


Made = TypeVar("Made", bound=_Kept)


def load_problem(data: Path, users: int | None, work: Path) -> Dataset:
    """Load ``users`` users of the folder's data, first those with a validation item; ``None``: all."""
    folder = work / "dataset"
    if not (folder / "dataset.json").is_file():
        ingest(data / "interactions.csv.gz", items=data / "items.csv.gz", out=folder)
    dataset = Dataset.load(folder)
    return dataset if users is None else small_problem(dataset, users)


def for_design(dataset: Dataset) -> Dataset:
    """Return the data that a default may be designed on, without any test interaction.

    Validation users are cut in two: those of even places stay validation, which selectors may look at,
    and what the others chose is held out in the place of a test.
    """
    splits = dataset.splits.copy()
    users = dataset.users()
    valid = splits == SPLIT_CODES[Split.VALID]
    asked = np.unique(users[valid])
    splits[valid & np.isin(users, asked[1::2])] = SPLIT_CODES[Split.TEST]
    kept = dataset.splits != SPLIT_CODES[Split.TEST]
    before = np.concatenate([[0], np.cumsum(kept)])
    digest = hashlib.sha256(f"{dataset.sha256} for design".encode()).hexdigest()
    return replace(
        dataset,
        offsets=before[dataset.offsets].astype(np.int64),
        items=dataset.items[kept],
        splits=splits[kept],
        sha256=digest,
    )


def scores_of(
    dataset: Dataset,
    config: PruneConfig,
    needs: Set[Need],
    work: Path,
    runtime: Runtime,
    stages: StageReporters,
) -> tuple[Samples, Scores, dict[StageName, float]]:
    """Gather as :func:`dealrec.gathering.gather`, and keep the scores and their seconds in ``work``."""
    gathering = _Gathering(dataset, config, work, runtime, stages)
    found: dict[str, Any] = {"effort": None}
    influence = gathering.influence()
    if config.effort is not None:
        found["effort"] = gathering.effort(config.effort).scores
    for name in extra_stages(needs):
        match name:
            case StageName.DIFFICULTY:
                difficulty = gathering.difficulty()
                found |= {"el2n": difficulty.el2n, "grand": difficulty.grand}
            case StageName.EMBEDDING:
                found["embedding"] = gathering.embedding().vectors
            case StageName.GRADIENTS:
                found["gradients"] = gathering.gradients().vectors
    samples = gathering.samples
    scores = Scores(
        samples.keys(dataset),
        influence.scores,
        targets=samples.targets,
        history_lengths=samples.history_lengths,
        **found,
    )
    return samples, scores, gathering.seconds


class _Gathering:
    """Makes each stage once for the same data and options."""

    def __init__(
        self,
        dataset: Dataset,
        config: PruneConfig,
        work: Path,
        runtime: Runtime,
        stages: StageReporters,
    ) -> None:
        self._dataset, self._config, self._work = dataset, config, work
        self._runtime, self._stages = runtime, stages
        self.samples = build_samples(dataset, config.sampling, config.min_history)
        self.seconds: dict[StageName, float] = {}
        self._ensemble = self._trained()
        self.seconds[StageName.SURROGATE] = float(self._ensemble.metrics["seconds"])

    def influence(self) -> InfluenceScores:
        config = self._config.influence
        return self._made(
            StageName.INFLUENCE,
            InfluenceScores,
            [self._config.surrogate, config],
            lambda reporter: score_ensemble(
                self._dataset,
                self.samples,
                self._ensemble,
                config,
                runtime=self._runtime,
                reporter=reporter,
            ),
        )

    def effort(self, config: EffortConfig) -> EffortScores:
        """Compute effort of training samples alone, which is the same whatever is held out."""
        return self._made(
            StageName.EFFORT,
            EffortScores,
            [config, self._config.prompt],
            lambda reporter: score_effort(
                self._dataset,
                self.samples,
                self._config.prompt,
                config,
                runtime=self._runtime,
                reporter=reporter,
            ),
            of=_training_sha256(self._dataset),
        )

    def difficulty(self) -> DifficultyScores:
        return self._made(
            StageName.DIFFICULTY,
            DifficultyScores,
            [self._config.surrogate],
            lambda reporter: score_difficulty(
                self._dataset,
                self.samples,
                self._ensemble,
                runtime=self._runtime,
                reporter=reporter,
            ),
        )

    def embedding(self) -> MadeVectors:
        config = self._config
        return self._made(
            StageName.EMBEDDING,
            MadeVectors,
            [config.surrogate, config.embedding],
            lambda reporter: embed(
                self._dataset,
                self.samples,
                config.prompt,
                config.embedding,
                self._ensemble,
                runtime=self._runtime,
                reporter=reporter,
            ),
        )

    def gradients(self) -> MadeVectors:
        config = self._config
        return self._made(
            StageName.GRADIENTS,
            MadeVectors,
            [config.gradients, config.prompt],
            lambda reporter: project_gradients(
                self._dataset,
                self.samples,
                config.prompt,
                config.gradients,
                runtime=self._runtime,
                reporter=reporter,
                checkpoint_dir=self._work / "gradients",
            ),
        )

    def _trained(self) -> Ensemble:
        config = self._config.surrogate

        def train(folder: Path) -> None:
            reporter = self._stages(StageName.SURROGATE)
            train_ensemble(self._dataset, config, runtime=self._runtime, reporter=reporter).save(
                folder
            )

        return load_ensemble(self._kept(StageName.SURROGATE, [config], train))

    def _made(
        self,
        stage: StageName,
        kind: type[Made],
        options: list[Any],
        make: Callable[[Reporter], Made],
        of: str | None = None,
    ) -> Made:
        folder = self._kept(stage, options, lambda part: make(self._stages(stage)).save(part), of)
        found = kind.load(folder)
        self.seconds[stage] = float(found.diagnostics.get("seconds", 0.0))
        return found

    def _kept(
        self,
        stage: StageName,
        options: list[Any],
        write: Callable[[Path], None],
        of: str | None = None,
    ) -> Path:
        """Return the folder that ``write`` filled, now or earlier."""
        parts = [of or self._dataset.sha256, *(part.model_dump_json() for part in options)]
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        folder = self._work / "scores" / f"{stage.value}-{digest}"
        if not folder.is_dir():
            with written_whole(folder) as part:
                write(part)
        return folder


def _training_sha256(dataset: Dataset) -> str:
    offsets, items = dataset.subsequences((SPLIT_CODES[Split.TRAIN],))
    return hashlib.sha256(offsets.tobytes() + items.tobytes()).hexdigest()
