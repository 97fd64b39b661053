"""The samples and the learning rate of each step of a training, from the configuration alone."""

import math
from dataclasses import dataclass

import torch

from dealrec.config.finetune import FinetuneConfig


@dataclass(frozen=True)
class Schedule:
    """The steps of ``config.epochs`` passes over ``samples`` samples.

    A step's samples and learning rate follow from its number, so a resumed training needs only the
    number to go on where it was.
    """

    config: FinetuneConfig
    samples: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass; the last step may have fewer samples."""
        return math.ceil(self.samples / self.samples_per_step)

    @property
    def samples_per_step(self) -> int:
        """Samples in an optimizer step."""
        return self.config.batch_size * self.config.gradient_accumulation

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return self.steps_per_epoch * self.config.epochs

    def batch(self, step: int) -> list[int]:
        """Return the samples of step ``step`` (from 0), a part of its epoch's permutation."""
        epoch, place = divmod(step, self.steps_per_epoch)
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
        order: list[int] = torch.randperm(self.samples, generator=generator).tolist()
        first = place * self.samples_per_step
        return order[first : first + self.samples_per_step]

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of step ``step`` (from 0).

        It rises linearly to the configured one and then falls linearly to 0.
        """
        warmup = math.ceil(self.config.warmup_fraction * self.steps)
        if step < warmup:
            return self.config.learning_rate * (step + 1) / warmup
        return self.config.learning_rate * (self.steps - step) / (self.steps - warmup)

    def dropout_seed(self, step: int) -> int:
        """Return the seed of the random numbers that step ``step`` draws."""
        return (self.config.seed * 1_000_003 + step) * 2 + 1
