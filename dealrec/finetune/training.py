"""LoRA training: a plain loop, so that what is computed and what is kept is all in sight."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dealrec.checkpoints import TrainingCheckpoint
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.runtime import Runtime
from dealrec.data.prompts import PromptedSample
from dealrec.errors import Cancelled, DealrecError, InputError
from dealrec.finetune.adapter import (
    adapter_state,
    attach_lora,
    load_adapter_state,
    save_adapter,
)
from dealrec.finetune.schedule import Schedule
from dealrec.language_models.loading import LoadedLanguageModel, load_language_model
from dealrec.language_models.structure import find_structure
from dealrec.language_models.tokens import (
    EncodedSample,
    Encoder,
    batches_by_tokens,
    loss_targets,
    padded,
)
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime

HiddenStates = Callable[[Sequence[EncodedSample]], Tensor]
"""Samples -> [b, t, h] hidden states of their tokens, padded on the right."""

_TOKENS_AT_ONCE, _TOKENS_AT_ONCE_ON_CPU = 16_384, 2048
"""Padded tokens whose activations are held together; a step's batch is cut into such parts. An
accelerator spends a pass of few tokens on starting kernels; a CPU's caches like few tokens."""


@dataclass(frozen=True)
class FinetuneResult:
    """What came of a training; the adapter itself is in its folder."""

    metrics: dict[str, float]
    """``train_loss`` (mean of the last epoch's steps), ``steps``, ``samples``, ``tokens``,
    ``seconds`` (of this run alone, where it was resumed)."""
    revision: str
    """Of the base model."""


def finetune(
    examples: Sequence[PromptedSample],
    config: FinetuneConfig,
    *,
    out: Path,
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
        out: Must not exist, or be an empty folder; it appears complete or not at all.
        checkpoint_dir: Where the training is kept every ``config.checkpoint_steps`` steps, and
            when it is cancelled. A training of the same examples and configuration goes on from
            there, and on a CPU ends with the very same adapter.
        model_card: What the card says about the data, name by name.
        runtime: Device and threads.
        reporter: Gets a ``step`` of all steps, and the metric ``train_loss``; the event ``replanned``
            where less of a batch is held at once than before.
        pieces: By how much less of a batch is held at once from the start, for machines whose memory
            does not hold the usual.

    Raises:
        InputError: ``no_examples``, ``unknown_model``, ``model_not_available``,
            ``model_not_supported``, ``unknown_target_modules``, ``max_tokens_too_small``.
        DealrecError: ``non_finite_loss``.
        Cancelled: When ``reporter`` says so, between steps.
    """
    if not examples:
        raise InputError("There is no sample to train on.", code="no_examples")
    device = apply_runtime(runtime or Runtime())
    loaded = load_language_model(config.model, dtype=config.dtype, device=device, reporter=reporter)
    return train_adapter(
        loaded,
        examples,
        config,
        out=out,
        checkpoint_dir=checkpoint_dir,
        facts=model_card or {},
        reporter=reporter,
        pieces=pieces,
    )


def train_adapter(
    loaded: LoadedLanguageModel,
    examples: Sequence[PromptedSample],
    config: FinetuneConfig,
    *,
    out: Path,
    checkpoint_dir: Path | None,
    facts: Mapping[str, Any],
    reporter: Reporter,
    pieces: int = 1,
) -> FinetuneResult:
    """:func:`finetune` on a loaded model, which has the adapter attached afterwards."""
    started = time.monotonic()
    encoder = Encoder.for_model(loaded, config.max_tokens)
    encoded = encoder.encode(examples)
    training = LoraTraining(loaded, encoded, config)
    at_once = training.tokens_at_once
    training.tokens_at_once //= pieces
    checkpoint = TrainingCheckpoint(
        None if checkpoint_dir is None else checkpoint_dir / "finetune.pt",
        _fingerprint(config, loaded.revision, examples),
        LoraTrainingState,
        reporter,
    )
    training.restore(checkpoint.read(loaded.device))
    steps = training.schedule.steps
    try:
        reporter.progress(training.step, steps, "step")
        while training.step < steps:
            reporter.metric("train_loss", training.advance())
            if training.tokens_at_once < at_once:
                at_once = training.tokens_at_once
                reporter.event("replanned", batch_tokens=at_once)
            if training.step % config.checkpoint_steps == 0 or training.step == steps:
                checkpoint.write(training.state())
            reporter.progress(training.step, steps, "step")
    except Cancelled:
        checkpoint.write(training.state())
        raise
    last_epoch = training.losses[-training.schedule.steps_per_epoch :]
    metrics = {
        "train_loss": sum(last_epoch) / len(last_epoch),
        "steps": float(steps),
        "samples": float(len(examples)),
        "tokens": float(sum(map(len, encoded)) * config.epochs),
        "seconds": time.monotonic() - started,
    }
    save_adapter(training.model, loaded, config, metrics, facts, out)
    reporter.metric("train_loss", metrics["train_loss"])
    return FinetuneResult(metrics, loaded.revision)


def _fingerprint(config: FinetuneConfig, revision: str, examples: Sequence[PromptedSample]) -> str:
    """SHA-256 of everything that the training computes from.

    ``checkpoint_steps`` is left out because it changes no result.
    """
    settings = config.model_dump(mode="json", exclude={"checkpoint_steps"})
    digest = hashlib.sha256(json.dumps([settings, revision], sort_keys=True).encode())
    for example in examples:
        texts = [example.instruction, example.input, example.output]
        digest.update(json.dumps(texts).encode() + b"\n")
    return digest.hexdigest()


@dataclass(frozen=True)
class LoraTrainingState:
    """The state after ``step`` optimizer steps."""

    step: int
    losses: list[float]
    """The loss of each step so far."""
    adapter: dict[str, Tensor]
    optimizer: dict[str, Any]


class LoraTraining:
    """A training between two steps.

    The loss of a step is the mean cross-entropy over all target tokens of its batch. Dropout is
    seeded by step and samples are chosen by step, so ``step``, adapter and optimizer are its whole
    state. ``hidden_states`` takes the place of the whole decoder where a part of it is kept.

    ``tokens_at_once`` is how much of a batch is held together. Where an accelerator's memory does not
    hold it, it is halved, down to one sample, and the step is made again: the same up to rounding and
    to the draws of dropout.
    """

    def __init__(
        self,
        loaded: LoadedLanguageModel,
        samples: Sequence[EncodedSample],
        config: FinetuneConfig,
        hidden_states: HiddenStates | None = None,
    ) -> None:
        self._samples = samples
        self._config = config
        self._device = loaded.device
        self._pad = loaded.tokenizer.pad_token_id or 0
        find_structure(loaded.model)
        self.model = attach_lora(loaded, config)
        self._structure = find_structure(loaded.model)
        self._hidden_states = hidden_states or self._whole
        self.schedule = Schedule(config, len(samples))
        self._trained = [p for p in self.model.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._trained, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.step = 0
        self.losses: list[float] = []
        on_cpu = self._device.type == "cpu"
        self.tokens_at_once = _TOKENS_AT_ONCE_ON_CPU if on_cpu else _TOKENS_AT_ONCE

    def advance(self) -> float:
        """Make one step; its loss, before the step.

        Raises:
            DealrecError: ``non_finite_loss``.
        """
        batch = [self._samples[index] for index in self.schedule.batch(self.step)]
        for group in self._optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate(self.step)
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

    def _backward(self, batch: Sequence[EncodedSample]) -> float | None:
        """Gradients of the mean loss over the batch's target tokens; that loss.

        ``None`` where memory did not hold a part of several samples: it goes in smaller ones.
        """
        parts = batches_by_tokens([len(sample) for sample in batch], self.tokens_at_once)
        loss_on = self._config.loss_on
        total = sum(len(sample) - sample.first_label(loss_on) for sample in batch)
        loss = 0.0
        self._optimizer.zero_grad()
        try:
            with torch.random.fork_rng():
                torch.manual_seed(self.schedule.dropout_seed(self.step))
                for part in parts:
                    share = self._loss_sum([batch[index] for index in part]) / total
                    share.backward()  # type: ignore[no-untyped-call]
                    loss += share.item()
        except torch.OutOfMemoryError:
            if len(parts) == len(batch):
                raise
            return None  # not from here on: the error keeps the failed part's tensors alive
        return loss

    def _loss_sum(self, samples: Sequence[EncodedSample]) -> Tensor:
        tokens = padded(samples, self._pad, self._device)
        targets = loss_targets(tokens, samples, self._config.loss_on)
        hidden = self._hidden_states(samples)
        logits = self._structure.output(hidden[targets.rows, targets.positions])
        return nn.functional.cross_entropy(logits.float(), targets.labels, reduction="sum")

    def _whole(self, samples: Sequence[EncodedSample]) -> Tensor:
        return self._structure.hidden_states(padded(samples, self._pad, self._device))

    def state(self) -> LoraTrainingState:
        """The state that :meth:`restore` takes."""
        return LoraTrainingState(
            self.step, self.losses, adapter_state(self.model), self._optimizer.state_dict()
        )

    def restore(self, state: LoraTrainingState | None) -> None:
        """Go on from ``state``, if there is one."""
        if state is None:
            return
        load_adapter_state(self.model, state.adapter)
        self._optimizer.load_state_dict(state.optimizer)
        self.step, self.losses = state.step, state.losses
