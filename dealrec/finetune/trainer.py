"""The steps of a LoRA training of any recommender: a plain loop whose whole state is in sight."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dealrec.config.finetune import FinetuneConfig
from dealrec.config.model_use import TOKENS_AT_ONCE, TOKENS_AT_ONCE_ON_CPU
from dealrec.data.prompts import PromptedSample
from dealrec.errors import DealrecError
from dealrec.finetune.adapter import (
    adapter_state,
    attach_lora,
    detach_lora,
    load_adapter_state,
)
from dealrec.finetune.schedule import Schedule
from dealrec.finetune.validation import BestAdapter, HeldOutLoss
from dealrec.language_models.tokens import batches_by_tokens
from dealrec.recommenders.interface import Recommender


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
    validation: tuple[list[int], list[float]] = field(default_factory=lambda: ([], []))
    """The steps and the losses of the measurements so far."""
    best: tuple[dict[str, Tensor], dict[str, Tensor]] = field(default_factory=lambda: ({}, {}))
    """The adapter and the head at the lowest of them, where they are kept."""


class LoraTraining:
    """A training between two steps.

    The loss of a step is the mean over all terms of its samples. Dropout is seeded by the step and
    samples are chosen by the step, so step, adapter, optimizer and the measurements on held-out samples
    are its whole state.

    ``tokens_at_once`` is how much of a batch is held together. If an accelerator's memory does not
    hold it, it is halved, down to one sample, and the step is made again. The result is the same up to
    rounding and to the draws of dropout.

    Args:
        recommender: It has no adapter yet.
        samples: What is learned.
        config: How it is trained.
        start: The PEFT folder of the adapter to go on from; ``None`` begins with a fresh one.
        held_out: The samples whose loss ``config.validation`` asks for.

    Raises:
        InputError: ``unknown_target_modules``, ``adapter_not_usable``, ``model_not_supported``.
    """

    def __init__(
        self,
        recommender: Recommender,
        samples: Sequence[PromptedSample],
        config: FinetuneConfig,
        *,
        start: Path | None = None,
        held_out: Sequence[PromptedSample] = (),
    ) -> None:
        self._config, self._recommender = config, recommender
        self._objective = recommender.objective(samples)
        self._held_out = HeldOutLoss(recommender, held_out) if held_out else None
        self.validation = BestAdapter()
        recommender.reset_head()
        self.model = attach_lora(recommender.loaded, config, start)
        if start is not None:
            recommender.load_head(start)
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
        self.tokens_at_once = TOKENS_AT_ONCE_ON_CPU if on_cpu else TOKENS_AT_ONCE

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: all steps are made, or held-out samples have stopped it."""
        return not self.validation_due and (self.stopped_early or self.step >= self.schedule.steps)

    @property
    def stopped_early(self) -> bool:
        """Whether the last ``validation.patience`` measurements were no better than one before them."""
        return self.step < self.schedule.steps and self.validation.stops(
            self._config.validation.patience
        )

    @property
    def validation_due(self) -> bool:
        """Whether the held-out samples are to be measured before the next step."""
        if self._held_out is None or self.step == 0 or self.step in self.validation.steps[-1:]:
            return False
        every = self._config.validation.every_steps or self.schedule.steps_per_epoch
        return self.step % every == 0 or self.step == self.schedule.steps

    @property
    def train_loss(self) -> float:
        """The mean loss of the steps of the last epoch."""
        last_epoch = self.losses[-self.schedule.steps_per_epoch :]
        return sum(last_epoch) / len(last_epoch)

    @property
    def tokens(self) -> int:
        """Tokens of the samples of all steps that were made."""
        epochs, rest = divmod(self.step, self.schedule.steps_per_epoch)
        lengths = self._objective.lengths
        batches = (self.schedule.batch(self.step - back) for back in range(1, rest + 1))
        return sum(lengths) * epochs + sum(lengths[i] for batch in batches for i in batch)

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
                f"The loss of step {self.step + 1} is not a finite number. Use a lower learning rate "
                "(`finetune.learning_rate`).",
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
        parts = self._parts(batch)
        total = sum(self._objective.targets[index] for index in batch)
        loss = 0.0
        self._optimizer.zero_grad()
        try:
            with torch.random.fork_rng():
                torch.manual_seed(self.schedule.dropout_seed(self.step))
                for part in parts:
                    share = self._objective.loss_sum(part) / total
                    share.backward()  # type: ignore[no-untyped-call]
                    loss += share.item()
        except torch.OutOfMemoryError:
            if len(parts) == len(batch):
                raise
            return None  # not from here on: the error keeps the failed part's tensors alive
        return loss

    def _parts(self, samples: Sequence[int]) -> list[list[int]]:
        """Cut the samples of a step into those whose activations are held together."""
        parts, size = [], self._config.batch_size
        for batch in (samples[first : first + size] for first in range(0, len(samples), size)):
            lengths = [self._objective.held[index] for index in batch]
            cut = batches_by_tokens(lengths, self.tokens_at_once)
            parts += [[batch[place] for place in part] for part in cut]
        return parts

    def validate(self, on_part: Callable[[], None] = lambda: None) -> float:
        """Measure the held-out samples, and keep the adapter if it is the best so far."""
        assert self._held_out is not None
        loss = self._held_out.measure(self.tokens_at_once, self._config.seed, on_part)
        self.validation.steps.append(self.step)
        self.validation.losses.append(loss)
        if self._config.validation.keep_best and self.validation.is_last:
            head = self._recommender.head.state_dict()
            self.validation.adapter = {n: v.clone() for n, v in adapter_state(self.model).items()}
            self.validation.head = {name: value.detach().clone() for name, value in head.items()}
        return loss

    @property
    def best_step(self) -> int:
        """The number of steps before the lowest loss of the held-out samples."""
        return self.validation.steps[self.validation.place]

    @property
    def kept_loss(self) -> float | None:
        """The loss of the held-out samples with the adapter that is kept; ``None`` if none was measured."""
        if not self.validation.losses:
            return None
        best = self._config.validation.keep_best
        return self.validation.losses[self.validation.place if best else -1]

    def take_best(self) -> None:
        """Give the model the adapter with the lowest loss, where one is kept."""
        if self.validation.adapter:
            load_adapter_state(self.model, self.validation.adapter)
            self._recommender.head.load_state_dict(self.validation.head)

    def state(self) -> LoraTrainingState:
        """The state that :meth:`restore` takes."""
        return LoraTrainingState(
            self.step,
            self.losses,
            adapter_state(self.model),
            self._optimizer.state_dict(),
            self._recommender.head.state_dict(),
            (self.validation.steps, self.validation.losses),
            (self.validation.adapter, self.validation.head),
        )

    def restore(self, state: LoraTrainingState | None) -> None:
        """Go on from ``state``, if there is one."""
        if state is None:
            return
        load_adapter_state(self.model, state.adapter)
        self._recommender.head.load_state_dict(state.head)
        self._optimizer.load_state_dict(state.optimizer)
        self.step, self.losses = state.step, state.losses
        self.validation = BestAdapter(*state.validation, *state.best)

    def detach(self) -> None:
        """Give the recommender back as it was before the training."""
        detach_lora(self.model)
        self._recommender.reset_head()
