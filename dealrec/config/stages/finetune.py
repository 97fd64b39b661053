"""The stage that trains a LoRA adapter on a coreset."""

from collections.abc import Mapping, Sequence

from dealrec.config.finetune import FinetuneConfig
from dealrec.config.prune import PruneConfig
from dealrec.config.stages.base import (
    JobOptions,
    ModelUse,
    Phase,
    Product,
    StageName,
    StageSpec,
    Work,
    Workload,
    revision,
)


class FinetuneStage(StageSpec):
    """Its result is a PEFT folder."""

    name = StageName.FINETUNE
    title = "Fine-tuning"
    part = "finetune"
    summary = "Train a LoRA adapter on the coreset."
    switch = "Train an adapter"
    phase = Phase.TRAINING
    product = Product.ADAPTER
    reference_seconds = 0.5

    def needs(self, config: PruneConfig) -> Sequence[StageName]:
        return (StageName.SELECT,)

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        finetune = _finetune(options)
        return {"finetune": finetune.model_dump(mode="json"), "revision": revision(finetune.model)}

    def work(self, load: Workload) -> Work:
        finetune = _finetune(load)
        return Work(finetune.epochs * load.budget, (finetune.model,))

    def language_models(self, config: PruneConfig) -> Sequence[ModelUse]:
        if config.finetune is None:
            return ()
        return (ModelUse("config.finetune.model", config.finetune.model),)


def _finetune(options: JobOptions) -> FinetuneConfig:
    assert options.config.finetune is not None
    return options.config.finetune
