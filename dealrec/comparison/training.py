"""Trains and measures the runs of a comparison one after the other on one loaded model."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dealrec.comparison.runs import Indices, SelectedRun, TrainedRun
from dealrec.config.comparison import ComparisonConfig
from dealrec.data.dataset import Dataset
from dealrec.data.prompter import Prompter
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import Samples
from dealrec.finetune.trainer import LoraTraining
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.held_out import held_out_users
from dealrec.recommenders.interface import Measurement
from dealrec.recommenders.registry import make_recommender


def exchange_histories(prompts: Sequence[PromptedSample], seed: int) -> list[PromptedSample]:
    """Give every sample the history of another one, each history once; a single sample keeps its own.

    The samples are put in a random circle, and each takes the history of the next one. The sets of
    targets and of histories are the same as before, so format and popularity can still be learned, but
    taste cannot.
    """
    circle = np.random.default_rng([seed, 0xE7C]).permutation(len(prompts))
    giver = dict(zip(circle.tolist(), np.roll(circle, -1).tolist(), strict=True))
    return [
        replace(prompt, history=prompts[giver[place]].history)
        for place, prompt in enumerate(prompts)
    ]


class RunTrainer:
    """Trains each run from the model as it was loaded, and evaluates it on the same held-out users.

    Args:
        dataset: Its users are held out.
        samples: What the runs were selected from.
        config: Resolved.
        loaded: The language model, without an adapter.
        trunk: Folder for the states of frozen layers.
        catalogue: Folder for the catalogue's vectors.
        reporter: Gets ``title`` while the catalogue's vectors are computed.

    Raises:
        InputError: ``no_held_out_users``, ``model_not_supported``.
    """

    def __init__(
        self,
        dataset: Dataset,
        samples: Samples,
        config: ComparisonConfig,
        loaded: LoadedLanguageModel,
        *,
        trunk: Path,
        catalogue: Path,
        reporter: Reporter = SILENT,
    ) -> None:
        finetune, evaluation = config.config.finetune, config.config.evaluation
        assert finetune is not None
        assert evaluation is not None
        users = held_out_users(dataset, config.config.prompt, evaluation)
        self.recommender = make_recommender(
            loaded, finetune, trunk, evaluation.batch_tokens, titles=users.titles
        )
        self.examination = self.recommender.examination(
            dataset, users, evaluation, folder=catalogue, reporter=reporter
        )
        self._samples = samples
        self._prompter = Prompter(dataset, samples, config.config.prompt)

    def text_tokens(self) -> Indices:
        """Return the number of tokens of each sample [n] (:meth:`Recommender.lengths`)."""
        prompts = self._prompts(np.arange(len(self._samples)))
        return np.array(self.recommender.lengths(prompts), dtype=np.int64)

    def keep(self, runs: Sequence[SelectedRun], reporter: Reporter = SILENT) -> None:
        """Compute and keep the frozen layers' states of all texts on which ``runs`` are trained and measured.

        A continued comparison must make the same calls in the same order, because the last digit of a
        state depends on the other texts of its batch. Raises the errors of :meth:`Recommender.keep`.
        """
        plain = [run.indices for run in runs if not run.exchanged]
        needed = np.unique(np.concatenate(plain)) if plain else np.empty(0, dtype=np.int64)
        prompts = self._prompts(needed)
        for run in runs:
            if run.exchanged:
                prompts += self._prompts_of(run)
        learned = self.recommender.texts(prompts) if prompts else []
        self.recommender.keep([*learned, *self.examination.texts], reporter)

    def untrained(self, on_part: Callable[[], None] = lambda: None) -> Measurement:
        """Measure the model without an adapter. The states of its texts must have been kept."""
        return self.examination.measure(on_part=on_part)

    def train(self, run: SelectedRun, on_part: Callable[[], None] = lambda: None) -> TrainedRun:
        """Train and measure one run, and detach its adapter. The states of its texts must have been kept.

        ``on_part`` is called after each step and between parts of the measurement. If it raises, the run
        ends, and the adapter is detached as well.
        """
        training = LoraTraining(self.recommender, self._prompts_of(run), run.finetune)
        try:
            started = time.perf_counter()
            while not training.finished:
                training.advance()
                on_part()
            seconds = time.perf_counter() - started
            measurement = self.examination.measure(training.model, on_part)
        finally:
            training.detach()
        return TrainedRun(
            selected=run,
            measurement=measurement,
            train_loss=training.train_loss,
            steps=training.step,
            tokens=training.tokens,
            seconds=seconds,
        )

    def _prompts_of(self, run: SelectedRun) -> list[PromptedSample]:
        prompts = self._prompts(run.indices)
        return exchange_histories(prompts, run.selection_seed) if run.exchanged else prompts

    def _prompts(self, indices: Indices) -> list[PromptedSample]:
        return [self._prompter.prompt(index) for index in indices.tolist()]
