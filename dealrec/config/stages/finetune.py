"""The stage that trains a LoRA adapter on a coreset."""

import math
from collections.abc import Mapping

from dealrec.config.finetune import Quantization
from dealrec.config.stages.base import (
    JobOptions,
    Pace,
    Phase,
    Product,
    StageName,
    StageSpec,
    Work,
    Workload,
)


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
    pace = Pace.TRAIN
    reference_seconds = 0.5

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        """As :meth:`StageSpec.key_options`, of the options that the recommender reads."""
        finetune = options.config.finetune
        assert finetune is not None
        found = {"finetune": finetune.identity(), **self.contents(options.config)}
        going_on = options.continued
        if going_on is not None and going_on.replays:
            found["replay"] = {"share": going_on.replay, "earlier": going_on.earlier}
        return found

    def work(self, load: Workload) -> Work:
        finetune = load.config.finetune
        assert finetune is not None
        if finetune.lora.last_layers == 0:  # each text is read once, which is a third of a step
            texts = load.budget + load.count("items") / 8
            return Work(texts / 3, (finetune.model, finetune.recommender))
        kind = () if finetune.quantization is Quantization.NONE else (finetune.quantization.value,)
        measured = min(finetune.validation.samples, load.count("valid_users"))
        every = finetune.validation.every_steps
        step = finetune.batch_size * finetune.gradient_accumulation
        times = math.ceil(load.budget / step / every) if every else 1
        texts = load.budget + times * measured / 3  # reading a text takes a third of a step
        return Work(finetune.epochs * texts, (finetune.model, *kind))
