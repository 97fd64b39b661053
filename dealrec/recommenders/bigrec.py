"""A language model as recommender: trained to write the next title, grounded to the catalogue.

Bao et al., "A Bi-Step Grounding Paradigm for Large Language Models in Recommendation Systems"
(BIGRec), arXiv 2308.08434.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dealrec.config import EvaluationConfig, FinetuneConfig, PromptConfig
from dealrec.data.dataset import Dataset
from dealrec.data.prompts import PromptedSample
from dealrec.finetune.training import HiddenStates, LoraTraining
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.quiet import quiet_transformers
from dealrec.language_models.tokens import Encoder
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.examination import Examination, Measured
from dealrec.recommenders.held_out import held_out_users
from dealrec.recommenders.trunk import KeptTrunk


@dataclass(frozen=True)
class TrainedRun:
    """A training from the model as it was, and what held-out users showed of it."""

    measured: Measured
    train_loss: float
    """Mean over the steps of the last epoch."""
    steps: int
    tokens: int
    """Read over all epochs."""
    seconds: float
    """Of the training; states kept before are not counted."""


class BigRec:
    """One loaded model that many trainings start from; it is as it was after each.

    Where ``finetune.lora.last_layers`` says that the last layers alone are trained, the states that the
    layers below them give are computed once and kept in ``folder``: see :meth:`keep`.
    """

    def __init__(
        self,
        loaded: LoadedLanguageModel,
        dataset: Dataset,
        prompt: PromptConfig,
        finetune: FinetuneConfig,
        evaluation: EvaluationConfig,
        folder: Path,
        catalogue: Path | None = None,
        reporter: Reporter = SILENT,
    ) -> None:
        """``catalogue`` keeps the catalogue's vectors; ``reporter`` gets ``title`` while they are made."""
        self._loaded = loaded
        self._encoder = Encoder.for_model(loaded, finetune.max_tokens)
        self.users = held_out_users(dataset, prompt, evaluation)
        last = finetune.lora.last_layers
        layers = loaded.model.config.num_hidden_layers
        self.trained_layers: int = layers if last is None else min(last, layers)
        self._trunk = None
        if self.trained_layers < layers:
            self._trunk = KeptTrunk(
                loaded, self.trained_layers, folder, batch_tokens=evaluation.batch_tokens
            )
        self._examination = Examination(
            loaded,
            dataset,
            self.users,
            evaluation,
            self._encoder,
            folder=catalogue,
            reporter=reporter,
        )

    def token_counts(self, samples: Sequence[PromptedSample]) -> list[int]:
        """Of each sample's text, its end included."""
        return [len(sample) for sample in self._encoder.encode(samples)]

    @property
    def trunk_seconds_per_token(self) -> float:
        """Of the layers below the trained ones, over all that is kept; 0 where all are trained."""
        return (
            self._trunk.seconds / self._trunk.tokens if self._trunk and self._trunk.tokens else 0.0
        )

    def keep(self, samples: Sequence[PromptedSample], reporter: Reporter = SILENT) -> None:
        """Run the trunk over ``samples`` and the held-out users; nothing where every layer is trained.

        Raises :class:`~dealrec.errors.Cancelled` when ``reporter`` says so, and ``OSError`` where the
        disk has no room.
        """
        if self._trunk is not None:
            texts = [*self._encoder.encode(samples), *self._examination.texts]
            self._trunk.keep(texts, reporter)

    def untrained(self, on_part: Callable[[], None] = lambda: None) -> Measured:
        """The model as it is. What it is asked must have been kept."""
        return self._examination.measure(self._hidden_states, on_part=on_part)

    def train_and_measure(
        self,
        samples: Sequence[PromptedSample],
        finetune: FinetuneConfig,
        on_part: Callable[[], None] = lambda: None,
    ) -> TrainedRun:
        """Train on ``samples``, which must have been kept, measure, and take the adapter off again.

        ``on_part`` is called after each step and between parts of the measurement; what it raises
        ends the run, and leaves the model as it was.
        """
        encoded = self._encoder.encode(samples)
        training = LoraTraining(self._loaded, encoded, finetune, self._hidden_states)
        try:
            started = time.perf_counter()
            while training.step < training.schedule.steps:
                training.advance()
                on_part()
            seconds = time.perf_counter() - started
            measured = self._examination.measure(self._hidden_states, training.model, on_part)
        finally:
            take_off(training.model)
        last_epoch = training.losses[-training.schedule.steps_per_epoch :]
        return TrainedRun(
            measured=measured,
            train_loss=sum(last_epoch) / len(last_epoch),
            steps=training.schedule.steps,
            tokens=sum(map(len, encoded)) * finetune.epochs,
            seconds=seconds,
        )

    @property
    def _hidden_states(self) -> HiddenStates | None:
        return None if self._trunk is None else self._trunk.hidden_states


def take_off(adapted: Any) -> None:
    """Undo ``get_peft_model``: the model inside has its own layers back, and nothing asks for gradients."""
    with quiet_transformers():
        base = adapted.unload()
    if hasattr(base, "peft_config"):
        del base.peft_config
    base.requires_grad_(requires_grad=False)
    base.eval()
