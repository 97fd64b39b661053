"""How much the stages of a job have to do, in units that their seconds are in proportion to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from dealrec.app.jobs.composition import count_samples
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobKind
from dealrec.config import ComparisonConfig, EvaluationConfig, FinetuneConfig, PruneConfig
from dealrec.config.embedding import EmbeddingSource
from dealrec.config.stages import StageName

_TRAINING = 3.0
"""A training step reads a text once and goes back through it, which is twice the work of reading."""
_LAST_LAYERS = 0.15
"""Of reading a whole model: what its last layers and its vocabulary take where they alone are trained."""


@dataclass(frozen=True)
class Work:
    """What a stage has to do: its amount, and what must be alike where rates carry over."""

    units: float
    alike: tuple[Any, ...]


@dataclass(frozen=True)
class Task:
    """All of a job that decides how much its stages have to do."""

    config: PruneConfig
    comparison: ComparisonConfig | None
    counts: Mapping[str, int]
    """Of the data set."""
    samples: int
    budget: int
    """Of a comparison: the largest."""

    @classmethod
    def of(cls, kind: str, config: dict[str, Any], dataset: DatasetRow, budget: int) -> Self:
        """A job of this kind with the resolved ``config``; none that trains on a stored coreset."""
        comparison = None if kind != JobKind.COMPARISON else ComparisonConfig.parse(config)
        shared = comparison.config if comparison else PruneConfig.parse(config)
        samples = count_samples(dataset.train_lengths or {}, shared.sampling, shared.min_history)
        return cls(shared, comparison, dataset.counts or {}, samples, budget)

    def work(self, name: StageName) -> Work:
        """Of one of its stages."""
        if name is StageName.COMPARE:
            return self._compared()
        if name in {StageName.SURROGATE, StageName.INFLUENCE, StageName.DIFFICULTY}:
            return self._of_surrogate(name)
        if name in {StageName.SELECT, StageName.FINETUNE, StageName.EVALUATE}:
            return self._of_coreset(name)
        return self._read(name)

    def _of_surrogate(self, name: StageName) -> Work:
        surrogate, items = self.config.surrogate, self.counts["items"]
        if name is StageName.SURROGATE:
            units = surrogate.epochs * self.counts["train"] * surrogate.ensemble
            return Work(units, (surrogate.model, surrogate.loss, surrogate.hidden_size))
        if name is StageName.DIFFICULTY:
            return Work(self.samples * items * surrogate.ensemble, (surrogate.model,))
        influence = self.config.influence
        columns = min(influence.loss_items or items, items)
        curved = 3 * min(influence.curvature_tokens, self.samples)
        passes = self.samples + self.counts.get("valid", 0) + curved
        alike = (influence.parameters, influence.curvature, influence.solver)
        return Work(passes * columns * surrogate.ensemble, (surrogate.model, *alike))

    def _read(self, name: StageName) -> Work:
        """Of the stages that take a vector or a gradient of every sample."""
        if name is StageName.EFFORT:
            effort = self.config.effort
            assert effort is not None
            pool = min((effort.candidates or self.samples) * self.budget, self.samples)
            return Work(pool, (effort.model, effort.dtype))
        if name is StageName.EMBEDDING:
            embedding = self.config.embedding
            written = embedding.source is EmbeddingSource.LANGUAGE_MODEL
            return Work(self.samples, (embedding.source, embedding.model if written else None))
        gradients = self.config.gradients
        units = self.samples + self.counts.get("valid", 0)
        return Work(units, (gradients.model, gradients.dtype))

    def _of_coreset(self, name: StageName) -> Work:
        if name is StageName.SELECT:
            return Work(self.samples, (self.config.selection.method,))
        finetune, evaluation = self._trained()
        if name is StageName.FINETUNE:
            return Work(finetune.epochs * self.budget, (finetune.model,))
        assert evaluation is not None
        return Work(2 * self._asked(evaluation), (finetune.model,))

    def _compared(self) -> Work:
        """Texts that are read, once for all runs where states are kept, and in every run."""
        assert self.comparison is not None
        finetune, evaluation = self._trained()
        assert evaluation is not None
        drawn = self.comparison.full_data_runs * self.samples + sum(
            (selector.runs or self.comparison.seeds) * budget
            for selector in self.comparison.selectors
            for budget in self.comparison.resolved_budgets(self.samples)
        )
        asked = self._asked(evaluation)
        in_runs = _TRAINING * finetune.epochs * drawn + (self.comparison.run_count + 1) * asked
        alike = (finetune.model, finetune.dtype, finetune.lora.last_layers)
        if finetune.lora.last_layers is None:
            return Work(in_runs, alike)
        return Work(min(drawn, self.samples) + asked + _LAST_LAYERS * in_runs, alike)

    def _trained(self) -> tuple[FinetuneConfig, EvaluationConfig | None]:
        assert self.config.finetune is not None
        return self.config.finetune, self.config.evaluation

    def _asked(self, evaluation: EvaluationConfig) -> float:
        """Texts that are read to measure one model; a written title counts by its tokens."""
        users = self.counts["users"]
        titles = min(evaluation.ranking_users, users) * evaluation.beams
        return 2 * min(evaluation.users, users) + titles * evaluation.max_title_tokens / 8
