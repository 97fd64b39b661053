"""LoRA training of any recommender: a plain loop whose whole state is in sight."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dealrec.checkpoints import TrainingCheckpoint
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.runtime import Runtime
from dealrec.data.prompter import ShownTitles
from dealrec.data.prompts import PromptedSample
from dealrec.errors import Cancelled, DealrecError, InputError
from dealrec.finetune.adapter import (
    adapter_state,
    attach_lora,
    detach_lora,
    load_adapter_state,
    save_adapter,
)
from dealrec.finetune.schedule import Schedule
from dealrec.language_models.loading import load_language_model
from dealrec.language_models.tokens import batches_by_tokens
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.interface import Recommender
from dealrec.recommenders.registry import make_recommender
from dealrec.runtime import apply_runtime

_TOKENS_AT_ONCE, _TOKENS_AT_ONCE_ON_CPU = 16_384, 2048
"""Padded tokens whose activations are held together; a step's batch is cut into such parts. On an
accelerator a pass of few tokens spends its time on starting kernels; few tokens suit a CPU's caches."""


@dataclass(frozen=True)
class FinetuneResult:
    """The figures of a training; the adapter itself is in its folder."""

    metrics: dict[str, float]
    """``train_loss`` (mean over the steps of the last epoch), ``steps``, ``samples``, ``tokens`` and
    ``seconds`` (after a resume: of the last run alone)."""
    revision: str
    """The revision of the base model."""


def finetune(
    examples: Sequence[PromptedSample],
    config: FinetuneConfig,
    *,
    out: Path,
    titles: ShownTitles | None = None,
    checkpoint_dir: Path | None = None,
    model_card: Mapping[str, Any] | None = None,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
    pieces: int = 1,
) -> FinetuneResult:
    """Train LoRA on ``examples`` and write ``out``, a folder that peft loads.

    Args:
        examples: At least one.
        config: Model, adapter and training.
        out: It must not exist, or be an empty folder. It appears complete or not at all.
        titles: The titles of the catalogue, for recommenders that learn from them.
        checkpoint_dir: Where the training is kept every ``config.checkpoint_steps`` steps, and
            when it is cancelled. A training of the same examples and configuration goes on from
            there, and on a CPU ends with the very same adapter.
        model_card: Facts about the data for the card, by name.
        runtime: Device and threads.
        reporter: It gets ``text`` while texts are read that are read once, then a ``step`` of all steps,
            the metric ``train_loss``, and the event ``replanned`` when less of a batch is held at once
            than before.
        pieces: Divides how much of a batch is held at once, for machines with too little memory.

    Raises:
        InputError: ``no_examples``, ``unknown_model``, ``model_not_available``,
            ``model_not_supported``, ``unknown_target_modules``, ``max_tokens_too_small``, and of
            encoders ``no_catalogue`` and ``unknown_title``.
        DealrecError: ``non_finite_loss``.
        Cancelled: When ``reporter`` says so, between steps.
    """
    if not examples:
        raise InputError("There is no sample to train on.", code="no_examples")
    device = apply_runtime(runtime or Runtime())
    loaded = load_language_model(config.model, dtype=config.dtype, device=device, reporter=reporter)
    started = time.monotonic()
    # A recommender whose language model stays as it is reads each text once, and goes on from there.
    reads_once = config.lora.last_layers == 0 and checkpoint_dir is not None
    trunk = checkpoint_dir / "states" if checkpoint_dir and reads_once else None
    recommender = make_recommender(loaded, config, trunk, titles=titles)
    recommender.keep(recommender.texts(examples), reporter)
    training = LoraTraining(recommender, examples, config)
    checkpoint = TrainingCheckpoint(
        None if checkpoint_dir is None else checkpoint_dir / "finetune.pt",
        _fingerprint(config, loaded.revision, examples, titles),
        LoraTrainingState,
        reporter,
    )
    training.restore(checkpoint.read(loaded.device))
    _run(training, checkpoint, config.checkpoint_steps, pieces, reporter)
    metrics = {
        "train_loss": training.train_loss,
        "steps": float(training.step),
        "samples": float(len(examples)),
        "tokens": float(training.tokens),
        "seconds": time.monotonic() - started,
    }
    save_adapter(
        training.model,
        recommender,
        config,
        metrics,
        model_card or {},
        examples[0].instruction,
        out,
    )
    reporter.metric("train_loss", training.train_loss)
    return FinetuneResult(metrics, loaded.revision)


def _run(
    training: "LoraTraining",
    checkpoint: TrainingCheckpoint["LoraTrainingState"],
    checkpoint_steps: int,
    pieces: int,
    reporter: Reporter,
) -> None:
    """Make all steps that are left."""
    steps, at_once = training.schedule.steps, training.tokens_at_once
    training.tokens_at_once //= pieces
    try:
        reporter.progress(training.step, steps, "step")
        while not training.finished:
            reporter.metric("train_loss", training.advance())
            if training.tokens_at_once < at_once:
                at_once = training.tokens_at_once
                reporter.event("replanned", batch_tokens=at_once)
            if training.finished or training.step % checkpoint_steps == 0:
                checkpoint.write(training.state())
            reporter.progress(training.step, steps, "step")
    except Cancelled:
        checkpoint.write(training.state())
        raise


def _fingerprint(
    config: FinetuneConfig,
    revision: str,
    examples: Sequence[PromptedSample],
    titles: ShownTitles | None,
) -> str:
    """SHA-256 of everything that the training computes from.

    ``checkpoint_steps`` is left out because it changes no result.
    """
    settings = config.identity()
    del settings["checkpoint_steps"]
    digest = hashlib.sha256(json.dumps([settings, revision], sort_keys=True).encode())
    if config.entry.needs_catalogue and titles is not None:
        digest.update(json.dumps(titles.texts).encode() + b"\n")
    for example in examples:
        digest.update(json.dumps(asdict(example)).encode() + b"\n")
    return digest.hexdigest()


@dataclass(frozen=True)
class LoraTrainingState:
    """The state after ``step`` optimizer steps."""

    step: int
    losses: list[float]
    """The loss of each step so far."""
    adapter: dict[str, Tensor]
    optimizer: dict[str, Any]
    head: dict[str, Tensor] = field(default_factory=dict)
    """The parameters of the recommender's head."""


class LoraTraining:
    """A training between two steps.

    The loss of a step is the mean over all terms of its batch. Dropout is seeded by the step and
    samples are chosen by the step, so step, adapter and optimizer are its whole state.

    ``tokens_at_once`` is how much of a batch is held together. If an accelerator's memory does not
    hold it, it is halved, down to one sample, and the step is made again. The result is the same up to
    rounding and to the draws of dropout.
    """

    def __init__(
        self, recommender: Recommender, samples: Sequence[PromptedSample], config: FinetuneConfig
    ) -> None:
        self._config, self._recommender = config, recommender
        self._objective = recommender.objective(samples)
        recommender.reset_head()
        self.model = attach_lora(recommender.loaded, config)
        self.schedule = Schedule(config, len(samples))
        lora = [p for p in self.model.parameters() if p.requires_grad]
        head = [*recommender.head.parameters()]
        self._trained = [*lora, *head]
        times = recommender.head_learning_rate / config.learning_rate
        groups = [{"params": lora, "times": 1.0}, {"params": head, "times": times}]
        self._optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        self.step = 0
        self.losses: list[float] = []
        on_cpu = recommender.loaded.device.type == "cpu"
        self.tokens_at_once = _TOKENS_AT_ONCE_ON_CPU if on_cpu else _TOKENS_AT_ONCE

    @property
    def finished(self) -> bool:
        """Whether all steps are made."""
        return self.step >= self.schedule.steps

    @property
    def train_loss(self) -> float:
        """The mean loss of the steps of the last epoch."""
        last_epoch = self.losses[-self.schedule.steps_per_epoch :]
        return sum(last_epoch) / len(last_epoch)

    @property
    def tokens(self) -> int:
        """Tokens that are read over all epochs."""
        return sum(self._objective.lengths) * self._config.epochs

    def advance(self) -> float:
        """Make one step, and return its loss before the step.

        Raises:
            DealrecError: ``non_finite_loss``.
        """
        batch = self.schedule.batch(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate(self.step) * group["times"]
        self.model.train()
        while (loss := self._backward(batch)) is None:
            torch.cuda.empty_cache()
            self.tokens_at_once //= 2
        if not torch.isfinite(torch.tensor(loss)):
            raise DealrecError(
                f"The loss of step {self.step + 1} is not a finite number. A lower learning rate "
                "may help.",
                code="non_finite_loss",
            )
        torch.nn.utils.clip_grad_norm_(self._trained, self._config.max_gradient_norm)
        self._optimizer.step()
        self.step += 1
        self.losses.append(loss)
        return loss

    def _backward(self, batch: Sequence[int]) -> float | None:
        """Compute the gradients of the batch's mean loss, and return that loss.

        Returns ``None`` if memory did not hold a part of several samples; smaller parts may fit.
        """
        lengths = [self._objective.held[index] for index in batch]
        parts = batches_by_tokens(lengths, self.tokens_at_once)
        total = sum(self._objective.targets[index] for index in batch)
        loss = 0.0
        self._optimizer.zero_grad()
        try:
            with torch.random.fork_rng():
                torch.manual_seed(self.schedule.dropout_seed(self.step))
                for part in parts:
                    share = self._objective.loss_sum([batch[place] for place in part]) / total
                    share.backward()  # type: ignore[no-untyped-call]
                    loss += share.item()
        except torch.OutOfMemoryError:
            if len(parts) == len(batch):
                raise
            return None  # not from here on: the error keeps the failed part's tensors alive
        return loss

    def state(self) -> LoraTrainingState:
        """The state that :meth:`restore` takes."""
        return LoraTrainingState(
            self.step,
            self.losses,
            adapter_state(self.model),
            self._optimizer.state_dict(),
            self._recommender.head.state_dict(),
        )

    def restore(self, state: LoraTrainingState | None) -> None:
        """Go on from ``state``, if there is one."""
        if state is None:
            return
        load_adapter_state(self.model, state.adapter)
        self._recommender.head.load_state_dict(state.head)
        self._optimizer.load_state_dict(state.optimizer)
        self.step, self.losses = state.step, state.losses

    def detach(self) -> None:
        """Give the recommender back as it was before the training."""
        detach_lora(self.model)
        self._recommender.reset_head()
