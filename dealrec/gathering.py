"""All that selectors look at, computed in one process: the stages before the selection."""

import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dealrec.config import EmbeddingSource, PruneConfig
from dealrec.config.runtime import Runtime
from dealrec.config.selectors import Need
from dealrec.config.stages import StageName, extra_stages
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.language_models.adapters import require_adapter
from dealrec.language_models.loading import require_language_model
from dealrec.progress import StageReporters, silent_stages
from dealrec.selection.interface import Scores


@dataclass(frozen=True)
class Gathered:
    """What was computed, what it says of itself, and how long it took."""

    scores: Scores
    facts: Mapping[str, Any]
    """Metrics and diagnostics by stage, as a manifest has them."""
    seconds: Mapping[StageName, float]
    """Of each stage, loading of models included."""


def require_models(config: PruneConfig, needs: Set[Need]) -> None:
    """Check, without loading anything, that the language models of the stages are at hand.

    Raises :class:`~dealrec.errors.InputError`: ``unknown_model``, ``model_not_available``,
    ``adapter_not_usable``.
    """
    extra = extra_stages(needs)
    gradients = config.gradients if StageName.GRADIENTS in extra else None
    for part in (config.effort, gradients):
        if part is not None:
            require_language_model(part.model)
            if part.adapter is not None:
                require_adapter(Path(part.adapter).expanduser())
    if StageName.EMBEDDING in extra and config.embedding.source is EmbeddingSource.LANGUAGE_MODEL:
        require_language_model(config.embedding.model)


def gather(
    dataset: Dataset,
    samples: Samples,
    config: PruneConfig,
    needs: Set[Need],
    *,
    budget: int,
    runtime: Runtime,
    stages: StageReporters = silent_stages,
) -> Gathered:
    """Surrogate, influence, effort (unless ``config.effort`` is ``None``), and what ``needs`` names.

    ``config`` is resolved. For one selector ``needs`` are
    :func:`~dealrec.config.selectors.selector_needs`, for several their union. ``budget`` matters to
    ``effort.candidates`` alone.
    """
    return _Gathering(dataset, samples, config, budget, runtime, stages).run(needs)


class _Gathering:
    """The arguments of :func:`gather`, and what has been computed of it."""

    def __init__(
        self,
        dataset: Dataset,
        samples: Samples,
        config: PruneConfig,
        budget: int,
        runtime: Runtime,
        stages: StageReporters,
    ) -> None:
        self.dataset, self.samples, self.config = dataset, samples, config
        self.budget, self.runtime, self.stages = budget, runtime, stages
        self.facts: dict[str, Any] = {}
        self.seconds: dict[StageName, float] = {}

    def run(self, needs: Set[Need]) -> Gathered:
        self._timed(StageName.SURROGATE, self._surrogate)
        self._timed(StageName.INFLUENCE, self._influence)
        if self.config.effort is not None:
            self._timed(StageName.EFFORT, self._effort)
        makers = {
            StageName.DIFFICULTY: self._difficulty,
            StageName.EMBEDDING: self._embedding,
            StageName.GRADIENTS: self._gradients,
        }
        for name in extra_stages(needs):
            self._timed(name, makers[name])
        return Gathered(self.scores, self.facts, self.seconds)

    def _timed(self, name: StageName, make: Callable[[], None]) -> None:
        started = time.perf_counter()
        make()
        self.seconds[name] = time.perf_counter() - started

    def _surrogate(self) -> None:
        from dealrec.surrogates.ensemble import train_ensemble

        self.ensemble = train_ensemble(
            self.dataset,
            self.config.surrogate,
            runtime=self.runtime,
            reporter=self.stages(StageName.SURROGATE),
        )
        self.facts["surrogate"] = self.ensemble.metrics

    def _influence(self) -> None:
        from dealrec.influence.averaging import score_ensemble

        found = score_ensemble(
            self.dataset,
            self.samples,
            self.ensemble,
            self.config.influence,
            runtime=self.runtime,
            reporter=self.stages(StageName.INFLUENCE),
        )
        self.facts["influence"] = found.diagnostics
        self.scores = Scores(
            self.samples.keys(self.dataset),
            found.scores,
            None,
            targets=self.samples.targets,
            history_lengths=self.samples.history_lengths,
        )

    def _effort(self) -> None:
        from dealrec.effort.candidates import candidate_pool
        from dealrec.effort.scoring import score_effort

        assert self.config.effort is not None
        found = score_effort(
            self.dataset,
            self.samples,
            self.config.prompt,
            self.config.effort,
            candidates=candidate_pool(
                self.scores.keys, self.scores.influence, self.budget, self.config
            ),
            runtime=self.runtime,
            reporter=self.stages(StageName.EFFORT),
        )
        self.facts["effort"] = found.diagnostics
        self.scores = replace(self.scores, effort=found.scores, candidates=found.candidates)

    def _difficulty(self) -> None:
        from dealrec.difficulty.scoring import score_difficulty

        found = score_difficulty(
            self.dataset,
            self.samples,
            self.ensemble,
            runtime=self.runtime,
            reporter=self.stages(StageName.DIFFICULTY),
        )
        self.facts["difficulty"] = found.diagnostics
        self.scores = replace(self.scores, el2n=found.el2n, grand=found.grand)

    def _embedding(self) -> None:
        from dealrec.embedding.making import embed

        found = embed(
            self.dataset,
            self.samples,
            self.config.prompt,
            self.config.embedding,
            self.ensemble,
            runtime=self.runtime,
            reporter=self.stages(StageName.EMBEDDING),
        )
        self.facts["embedding"] = found.diagnostics
        self.scores = replace(self.scores, embedding=found.vectors)

    def _gradients(self) -> None:
        from dealrec.gradients.making import project_gradients

        found = project_gradients(
            self.dataset,
            self.samples,
            self.config.prompt,
            self.config.gradients,
            runtime=self.runtime,
            reporter=self.stages(StageName.GRADIENTS),
        )
        self.facts["gradients"] = found.diagnostics
        self.scores = replace(self.scores, gradients=found.vectors)
