"""Settings of fine-tuning and evaluation for comparisons on CPUs and on GPUs."""

from enum import StrEnum

from dealrec.config.evaluation import EvaluationConfig
from dealrec.config.finetune import (
    EncoderSettings,
    EncoderSoftmax,
    FinetuneConfig,
    HistoryVector,
    LoraSettings,
)
from dealrec.config.recommenders import ENCODER


class Scale(StrEnum):
    """Settings of fine-tuning and evaluation where the configuration gives none."""

    CPU = "cpu"
    """For CPUs: the recommender ``encoder`` on top of the frozen language model, which reads each title
    once. A training takes seconds, and thousands of users can be evaluated."""
    FULL = "full"
    """For GPUs: the language model writes titles, and LoRA adapts every layer."""

    @classmethod
    def _missing_(cls, value: object) -> "Scale | None":
        """Comparisons that version 0.1 stored call the settings for CPUs ``smoke``."""
        return cls.CPU if value == "smoke" else None


FINETUNE = {
    Scale.CPU: FinetuneConfig(
        recommender=ENCODER,
        epochs=20,
        batch_size=128,
        lora=LoraSettings(last_layers=0),
        encoder=EncoderSettings(history=HistoryVector.TITLES, softmax=EncoderSoftmax.BATCH),
    ),
    Scale.FULL: FinetuneConfig(epochs=3),
}
EVALUATION = {
    Scale.CPU: EvaluationConfig(users=2000, ranking_users=2000),
    Scale.FULL: EvaluationConfig(users=5000, ranking_users=2000),
}
