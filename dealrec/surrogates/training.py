"""Trains any surrogate, with bucketed batches and early stopping, and keeps the best epoch."""

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dealrec.checkpoints import TrainingCheckpoint
from dealrec.config import Split, SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import SPLIT_CODES, Dataset
from dealrec.errors import DealrecError
from dealrec.metrics.ranking import (
    Questions,
    RankingMetrics,
    build_questions,
    evaluate_ranking,
)
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime
from dealrec.surrogates.batches import TrainingSequences, bucketed_batches
from dealrec.surrogates.growing import EarlierSurrogate
from dealrec.surrogates.interface import TrainingStates
from dealrec.surrogates.losses import make_loss
from dealrec.surrogates.registry import make_surrogate
from dealrec.surrogates.shares import learned_part
from dealrec.surrogates.storage import TrainedSurrogate

_STOPPING_METRIC = "ndcg@10"
_WARMUP = 0.1
"""The share of all steps over which the learning rate rises, which post-LN transformers need."""


def train_surrogate(
    dataset: Dataset,
    config: SurrogateConfig,
    *,
    start: EarlierSurrogate | None = None,
    checkpoint_dir: Path | None = None,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> TrainedSurrogate:
    """Train on every training item of ``dataset`` that has a predecessor; none is held out.

    With ``user_share`` or ``recent_share`` it learns from a part of them.

    The learning rate rises over the first tenth of the steps of ``epochs`` and then falls to zero.
    With a validation split, training stops after ``patience`` epochs without a better NDCG@10, and
    the parameters of the best epoch are kept. Without one, all ``epochs`` are trained and the last
    parameters are kept. The training runs on one thread, so on CPUs of one kind the same data and
    configuration give the same parameters bit for bit. Test metrics are computed once, at the end.

    Args:
        dataset: The data for training and evaluation.
        config: The model, its loss and its training.
        start: The surrogate whose weights the training goes on from; its items are found by their ids. It
            may say which users are learned again.
        checkpoint_dir: The folder that receives a checkpoint after every epoch. A resumed training
            ends as one that never stopped. A checkpoint that cannot be written stops nothing.
        runtime: The device.
        reporter: Receives epochs, losses and metrics.

    Raises:
        InputError: ``no_training_sequences`` if no user has two training items; ``no_timestamps`` for
            a share of recent interactions without times; ``no_item_texts`` for ``content`` without texts.
        DealrecError: ``training_diverged`` if the loss is no longer finite.
        Cancelled: ``reporter`` cancelled the training between batches.
    """
    device = apply_runtime((runtime or Runtime()).on_one_thread())
    started = time.perf_counter()
    with torch.random.fork_rng():
        training = SurrogateTraining(dataset, config, device, reporter, start)
        identity = dataset.sha256 if start is None else f"{dataset.sha256} {start.sha256}"
        checkpoint = TrainingCheckpoint(
            None if checkpoint_dir is None else checkpoint_dir / "surrogate.pt",
            _fingerprint(config, identity),
            SurrogateTrainingState,
            reporter,
        )
        training.restore(checkpoint.read(device))
        started -= training.seconds
        while not training.finished:
            training.epoch()
            training.seconds = time.perf_counter() - started
            checkpoint.write(training.state())
        training.take(training.best_model)
    metrics = {f"trained_{name}": float(n) for name, n in (training.part or {}).items()}
    metrics |= {"epochs": float(len(training.history)), "best_epoch": float(training.best_epoch)}
    for split in (Split.VALID, Split.TEST):
        if dataset.users_asked(split):
            known = training.best_valid if split is Split.VALID else None
            ranking = known or training.evaluate(split)
            for name, value in ranking.values.items():
                metrics[f"{split}_{name}"] = value
                metrics[f"{split}_{name}_se"] = ranking.standard_errors[name]
    metrics["seconds"] = time.perf_counter() - started
    for name in ("test_recall@20", "test_ndcg@10"):
        if name in metrics:
            reporter.metric(name, metrics[name])
    return TrainedSurrogate(training.model.eval().cpu(), config, metrics, training.history)


@dataclass(frozen=True)
class SurrogateTrainingState:
    """The state after as many epochs as ``history`` has rows.

    Random numbers follow from the epoch alone, so they are no part of it.
    """

    model: dict[str, Tensor]
    """The parameters; what a model keeps of the data follows from the data."""
    optimizer: dict[str, Any]
    history: list[dict[str, float]]
    best_epoch: int
    best_model: dict[str, Tensor]
    seconds: float
    """Time spent on training so far."""


def _fingerprint(config: SurrogateConfig, dataset_sha256: str) -> str:
    """Hash everything that the training computes from with SHA-256."""
    parts = [config.model_dump(mode="json"), dataset_sha256]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class SurrogateTraining:
    """One training run: the model, its optimizer, and the history of its epochs."""

    def __init__(
        self,
        dataset: Dataset,
        config: SurrogateConfig,
        device: torch.device,
        reporter: Reporter,
        start: EarlierSurrogate | None = None,
    ) -> None:
        self.dataset, self.config, self.device, self.reporter = dataset, config, device, reporter
        learned = learned_part(dataset, config)
        again = None if start is None else start.repetition
        read = learned if again is None else again.part(learned)
        self.sequences = TrainingSequences.of(read, config.max_length, windows=config.windows)
        self._tell_unread(read)
        self.part = None if read is dataset else _extent(read)
        if self.part is not None:
            reporter.event("trained_on_a_part", **self.part)
        torch.manual_seed(config.seed)
        self.model = make_surrogate(dataset.n_items, config)
        self.model.prepare(learned)
        if start is not None:
            start.copy_into(self.model, dataset.item_ids)
        self.model = self.model.to(device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        known = learned.items[learned.splits == SPLIT_CODES[Split.TRAIN]]
        frequencies = np.bincount(known, minlength=dataset.n_items)
        self.loss = make_loss(config, frequencies.astype(np.int64), device)
        self.has_validation = dataset.users_asked(Split.VALID) > 0
        if not self.has_validation:
            reporter.event("no_validation_split", epochs=config.epochs)
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.best_model = self._snapshot()
        self.best_valid: RankingMetrics | None = None
        """On the validation split, of the best epoch of this process."""
        self.seconds = 0.0
        self._questions: dict[Split, Questions] = {}

    def _tell_unread(self, learned: Dataset) -> None:
        """Report how many targets are too early in long sequences for the training to reach."""
        lengths = np.diff(learned.subsequences((SPLIT_CODES[Split.TRAIN],))[0])
        unread = int(np.maximum(lengths - 1, 0).sum()) - int(self.sequences.positions.sum())
        if unread:
            self.reporter.event(
                "long_sequences_cut",
                items=unread,
                users=int((lengths > self.config.max_length + 1).sum()),
                help="surrogate.max_length, surrogate.windows",
            )

    @property
    def finished(self) -> bool:
        """Whether all epochs are trained, or none of the last ``patience`` epochs was the best."""
        done = len(self.history)
        stopped = self.has_validation and done - self.best_epoch >= self.config.patience
        return stopped or done >= self.config.epochs

    def epoch(self) -> None:
        """Train one epoch, evaluate it, and keep the model if it is the best so far."""
        epoch = len(self.history) + 1
        row = {"epoch": float(epoch), "loss": self.train_pass(epoch)}
        found = None
        if self.has_validation:
            found = self.evaluate(Split.VALID)
            row["valid_ndcg@10"] = found.values[_STOPPING_METRIC]
            self.reporter.metric("valid_ndcg@10", row["valid_ndcg@10"])
            earlier = [one["valid_ndcg@10"] for one in self.history]
            better = row["valid_ndcg@10"] > max(earlier, default=-math.inf)
        else:
            better = True
        if better:
            self.best_epoch, self.best_model, self.best_valid = epoch, self._snapshot(), found
        self.reporter.metric("loss", row["loss"])
        self.history.append(row)
        self._tell(epoch)
        self._tick()
        if self.finished and epoch < self.config.epochs:
            self.reporter.event("early_stopping", epoch=epoch, best_epoch=self.best_epoch)
            self.reporter.progress(epoch, epoch, "epoch")  # no epoch is left

    def evaluate(self, split: Split) -> RankingMetrics:
        """Compute the ranking metrics of the present model on ``split``."""
        self.model.eval()
        if split not in self._questions:
            most = self.config.evaluation_users
            self._questions[split] = build_questions(self.dataset, split, most)
        return evaluate_ranking(
            self.model.ranker(),
            self._questions[split],
            n_items=self.dataset.n_items,
            max_length=self.config.max_length,
            device=self.device,
            on_chunk=self._tick,
        )

    def state(self) -> SurrogateTrainingState:
        """Return everything that the next epoch depends on."""
        return SurrogateTrainingState(
            self._snapshot(),
            self.optimizer.state_dict(),
            self.history,
            self.best_epoch,
            self.best_model,
            self.seconds,
        )

    def restore(self, state: SurrogateTrainingState | None) -> None:
        """Resume from ``state`` if there is one."""
        if state is None:
            return
        self.take(state.model)
        self.optimizer.load_state_dict(state.optimizer)
        self.history, self.seconds = state.history, state.seconds
        for epoch in range(1, len(self.history) + 1):
            self._tell(epoch)  # the process that reported them first is gone
        self.best_epoch, self.best_model = state.best_epoch, state.best_model

    def train_pass(self, epoch: int) -> float:
        """Train on every training position once, and return the mean loss over them."""
        seed = self.config.seed * 1_000_003 + epoch
        torch.manual_seed(seed)
        generator = np.random.default_rng(seed)
        batches = bucketed_batches(self.sequences.positions, self.config.batch_tokens, generator)
        self.model.train()
        total, count = 0.0, 0
        for index, batch in enumerate(batches):
            self._tick()
            self._set_learning_rate((epoch - 1 + (index + 0.5) / len(batches)) / self.config.epochs)
            sequences = self.sequences.batch(batch).to(self.device)
            states, targets, added = TrainingStates(*self.model.training_states(sequences))
            value = self.loss(self.model, states, targets)
            if added is not None:
                value = value + added
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += value.item() * len(states)
            count += len(states)
        if not math.isfinite(total):
            raise DealrecError(
                (
                    "The loss of the surrogate's training is no longer a number. Use a lower learning "
                    "rate (`surrogate.learning_rate`)."
                ),
                code="training_diverged",
                title="Training diverged",
            )
        return total / count

    def _set_learning_rate(self, done: float) -> None:
        """Set the rate for a step; ``done``, from 0 to 1, is the share of the training at its middle."""
        factor = done / _WARMUP if done < _WARMUP else (1 - done) / (1 - _WARMUP)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * factor

    def _tell(self, epoch: int) -> None:
        """Report the epoch's points of the curves."""
        for name, value in self.history[epoch - 1].items():
            if name != "epoch":
                self.reporter.point(name, epoch, value)

    def _tick(self) -> None:
        """Report the finished epochs, which may cancel the training."""
        self.reporter.progress(len(self.history), self.config.epochs, "epoch")

    def take(self, parameters: Mapping[str, Tensor]) -> None:
        """Set the parameters; what the model keeps of the data stays as it is."""
        self.model.load_state_dict(parameters, strict=False)

    def _snapshot(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.model.named_parameters()}


def _extent(dataset: Dataset) -> dict[str, int]:
    """Count the users, items and interactions of training."""
    training = dataset.splits == SPLIT_CODES[Split.TRAIN]
    return {
        "users": len(np.unique(dataset.users()[training])),
        "items": len(np.unique(dataset.items[training])),
        "interactions": int(training.sum()),
    }
