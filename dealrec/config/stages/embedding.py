"""The stage that makes a vector of every sample."""

from collections.abc import Mapping, Sequence

from dealrec.config.embedding import EmbeddingSource
from dealrec.config.prune import PruneConfig
from dealrec.config.selectors import Need
from dealrec.config.stages.base import (
    JobOptions,
    ModelUse,
    Phase,
    StageName,
    StageSpec,
    Work,
    Workload,
    sampling_options,
    text_options,
)


class EmbeddingStage(StageSpec):
    """Takes the vectors from the surrogate or from the language model."""

    name = StageName.EMBEDDING
    title = "Embedding"
    part = "embedding"
    summary = "A vector of every sample, for selectors that look at one."
    phase = Phase.SCORING
    makes = frozenset({Need.EMBEDDING, Need.VALIDATION_EMBEDDING})
    reference_seconds = 0.1

    def needs(self, config: PruneConfig) -> Sequence[StageName]:
        return (StageName.SURROGATE,) if _from_surrogate(config) else ()

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        """Language-model options are left out of the key when vectors come from the surrogate."""
        config = options.config
        if _from_surrogate(config):
            read = {"source", "validation_samples"}
            embedding = config.embedding.model_dump(mode="json", include=read)
            return {**sampling_options(config), "embedding": embedding}
        return {
            **sampling_options(config),
            **text_options(config, config.embedding.model),
            "embedding": config.embedding.model_dump(mode="json"),
        }

    def work(self, load: Workload) -> Work:
        embedding = load.config.embedding
        model = None if _from_surrogate(load.config) else embedding.model
        return Work(load.samples, (embedding.source, model))

    def language_models(self, config: PruneConfig) -> Sequence[ModelUse]:
        if _from_surrogate(config):
            return ()
        return (ModelUse("config.embedding.model", config.embedding.model),)


def _from_surrogate(config: PruneConfig) -> bool:
    return config.embedding.source is EmbeddingSource.SURROGATE
