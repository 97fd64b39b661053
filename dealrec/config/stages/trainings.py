"""The work of many trainings on one language model."""

from dataclasses import dataclass

from dealrec.config.stages.base import Work, Workload
from dealrec.config.stages.evaluate import texts_asked

_TRAINING = 3.0
"""A training step reads a text once and goes back through it, which takes twice as long as reading."""
_LAST_LAYERS = 0.15
"""The share of reading a whole model that its last layers and its vocabulary take."""
_NO_LAYER = 0.01
"""The share that a projection takes where the language model stays as it is."""


@dataclass(frozen=True)
class Trainings:
    """Trainings on coresets of ``drawn`` samples in all, and ``measured`` measurements."""

    drawn: int
    measured: int

    def work(self, load: Workload) -> Work:
        """Texts that are read: once for all where states are kept, and again in every training."""
        finetune, evaluation = load.config.finetune, load.config.evaluation
        assert finetune is not None
        assert evaluation is not None
        asked = texts_asked(finetune, evaluation, load)
        in_runs = _TRAINING * finetune.epochs * self.drawn + self.measured * asked
        alike = (finetune.recommender, finetune.model, finetune.dtype, finetune.lora.last_layers)
        if finetune.lora.last_layers is None:
            return Work(in_runs, alike)
        share = _LAST_LAYERS if finetune.lora.last_layers else _NO_LAYER
        return Work(min(self.drawn, load.samples) + asked + share * in_runs, alike)
