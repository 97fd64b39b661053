"""The stage that trains a LoRA adapter on a coreset."""

from dealrec.config.stages.base import Phase, Product, StageName, StageSpec, Work, Workload


class FinetuneStage(StageSpec):
    """Its result is a PEFT folder."""

    name = StageName.FINETUNE
    title = "Fine-tuning"
    part = "finetune"
    summary = "Train a LoRA adapter on the coreset."
    switch = "Train an adapter"
    phase = Phase.TRAINING
    reads = frozenset({"finetune"})
    before = (StageName.SELECT,)
    product = Product.ADAPTER
    reference_seconds = 0.5

    def work(self, load: Workload) -> Work:
        finetune = load.config.finetune
        assert finetune is not None
        return Work(finetune.epochs * load.budget, (finetune.model,))
