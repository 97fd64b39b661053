"""Trains the recommender of ``benchmarks/PROTOCOL.md`` on a coreset, and asks held-out users.

It is the ``encoder`` over the frozen states of titles: the language model reads each title once, the
states are kept in a folder, and a training then takes seconds.
"""

from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dealrec.config import (
    ComparisonConfig,
    EvaluationConfig,
    FinetuneConfig,
    HeldOut,
    PromptConfig,
)
from dealrec.data.dataset import Dataset
from dealrec.data.prompts import PromptedSample
from dealrec.finetune.trainer import LoraTraining
from dealrec.language_models.loading import LoadedLanguageModel, load_language_model
from dealrec.metrics.preference import PREFERENCE
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.held_out import held_out_users
from dealrec.recommenders.interface import Examination, Recommender
from dealrec.recommenders.registry import make_recommender

Floats = npt.NDArray[np.float64]


def protocol_finetune() -> FinetuneConfig:
    """The training of the protocol: that which a comparison has by default."""
    preset = ComparisonConfig(budgets=(1,), selectors=("random",)).config.finetune
    assert preset is not None
    return preset


def protocol_prompt(noun: str) -> PromptConfig:
    """The prompt of the protocol; ``noun`` is what an item is called."""
    return PromptConfig(item_noun=noun, history_items=10, title_characters=60)


class TrainedEncoder:
    """One recommender for many trainings; the language model is loaded when it is first needed.

    Args:
        dataset: Its titles are the catalogue, and its held-out users are asked.
        noun: What an item is called in prompts.
        finetune: How it is trained; the seed is that of each run.
        split: The held-out users who are asked.
        users: How many of them at most.
        states: The folder of the titles' states.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        noun: str,
        finetune: FinetuneConfig,
        split: HeldOut,
        users: int,
        states: Path,
        reporter: Reporter = SILENT,
    ) -> None:
        self._dataset, self._finetune, self._states = dataset, finetune, states
        self._reporter = reporter
        self._evaluation = EvaluationConfig(split=split, users=users, ranking_users=0)
        self.users = held_out_users(dataset, protocol_prompt(noun), self._evaluation)

    def preference(self, coreset: Sequence[PromptedSample], run: int) -> Floats:
        """[users] preference after training on ``coreset`` with the seed ``run``."""
        recommender, examination = self._model
        config = self._finetune.model_copy(update={"seed": run})
        training = LoraTraining(recommender, coreset, config)
        try:
            while not training.finished:
                training.advance()
                self._reporter.progress(training.step, training.schedule.steps, "step")
            return examination.measure(training.model).users[PREFERENCE]
        finally:
            training.detach()

    @cached_property
    def _model(self) -> tuple[Recommender, Examination]:
        recommender = make_recommender(
            _language_model(self._finetune.model),
            self._finetune,
            self._states,
            2048,
            titles=self.users.titles,
        )
        examination = recommender.examination(
            self._dataset, self.users, self._evaluation, reporter=self._reporter
        )
        recommender.keep(examination.texts, self._reporter)
        return recommender, examination


@cache
def _language_model(name: str) -> LoadedLanguageModel:
    return load_language_model(name, dtype="float32", device="cpu")
