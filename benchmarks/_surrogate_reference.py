"""The plain way to train a surrogate for one epoch: every sequence padded to one length."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from dealrec.config import SurrogateConfig
from dealrec.data.dataset import Dataset
from dealrec.surrogates.batches import TrainingSequences
from dealrec.surrogates.registry import make_surrogate

BATCH_SIZE = 128
"""Sequences."""


class PaddedSequences(TorchDataset[tuple[Tensor, Tensor]]):
    """One sequence a row: its inputs and its targets, padded on the right to ``max_length``."""

    def __init__(self, sequences: TrainingSequences, max_length: int) -> None:
        self.sequences, self.max_length = sequences, max_length

    def __len__(self) -> int:
        return len(self.sequences.starts)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        part = slice(self.sequences.starts[index], self.sequences.ends[index])
        row = torch.full((self.max_length + 1,), self.sequences.n_items, dtype=torch.int64)
        items = torch.from_numpy(self.sequences.items[part].astype(np.int64))
        row[: len(items)] = items
        return row[:-1], row[1:]


class PaddedEpoch:
    """Trains as published code does: sequences of one length, padding run through and masked last.

    Model, risk (the sampled softmax with its correction) and optimizer are those of the trainer it is
    compared with; a batch is the 128 sequences of the published SASRec.
    """

    def __init__(self, dataset: Dataset, config: SurrogateConfig) -> None:
        torch.manual_seed(config.seed)
        sequences = TrainingSequences.of(dataset, config.max_length)
        self.negatives = config.negatives
        frequencies = np.bincount(sequences.items, minlength=dataset.n_items) + 1.0
        self.probabilities = torch.from_numpy(frequencies / frequencies.sum())
        self.model = make_surrogate(dataset.n_items, config).train()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=0.0, fused=True
        )
        padded = PaddedSequences(sequences, config.max_length)
        self.loader = DataLoader(padded, batch_size=BATCH_SIZE, shuffle=True)

    def run(self) -> None:
        """One pass over all training positions."""
        for inputs, targets in self.loader:
            loss = self._loss(self.model(inputs), targets)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()

    def _loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """[B, T, d] and [B, T] → the mean over the positions that are not padding."""
        drawn = torch.multinomial(self.probabilities, self.negatives, replacement=True)
        expected = torch.log(self.probabilities[drawn] * self.negatives).to(states.dtype)
        chosen = (states * self.model.vectors_of(targets)).sum(-1)
        others = states @ self.model.vectors_of(drawn).T - expected
        others = others.masked_fill(drawn == targets[..., None], -math.inf)
        logits = torch.cat([chosen[..., None], others], dim=-1)
        losses = torch.logsumexp(logits, dim=-1) - chosen
        real = targets != self.model.n_items
        return losses[real].mean()
