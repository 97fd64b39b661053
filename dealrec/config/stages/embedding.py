"""The stage that makes a vector of every sample."""

from collections.abc import Mapping, Sequence

from dealrec.config.embedding import EmbeddingSource
from dealrec.config.model_use import ModelUse
from dealrec.config.prune import PruneConfig
from dealrec.config.selectors import Need
from dealrec.config.stages.base import (
    SAMPLES,
    TEXTS,
    JobOptions,
    Pace,
    Phase,
    StageName,
    StageSpec,
    Work,
    Workload,
)

_OF_SURROGATE = 0.001
"""The share of reading a text with a language model that a vector of the surrogate takes."""


class EmbeddingStage(StageSpec):
    """Takes the vectors from the surrogate or from the language model."""

    name = StageName.EMBEDDING
    title = "Embedding"
    part = "embedding"
    summary = "A vector for every sample, for selectors that use one."
    phase = Phase.SCORING
    version = 2
    reads = TEXTS | {"validation_users", "embedding"}
    before = (StageName.SURROGATE,)
    makes = frozenset({Need.EMBEDDING, Need.VALIDATION_EMBEDDING})
    pace = Pace.READ
    reference_seconds = 0.1

    def needs(self, config: PruneConfig) -> Sequence[StageName]:
        return self.before if _from_surrogate(config) else ()

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        """Language-model options are left out of the key when vectors come from the surrogate."""
        config = options.config
        if not _from_surrogate(config):
            return super().key_options(options)
        read = {"source", "validation_samples"}
        embedding = config.embedding.model_dump(mode="json", include=read)
        return {
            **config.model_dump(mode="json", include={*SAMPLES, "validation_users"}),
            "embedding": embedding,
        }

    def work(self, load: Workload) -> Work:
        embedding = load.config.embedding
        if _from_surrogate(load.config):
            return Work(_OF_SURROGATE * load.samples, (embedding.source, None))
        return Work(load.samples, (embedding.source, embedding.model))

    def language_model(self, config: PruneConfig) -> ModelUse | None:
        return None if _from_surrogate(config) else super().language_model(config)


def _from_surrogate(config: PruneConfig) -> bool:
    return config.embedding.source is EmbeddingSource.SURROGATE
