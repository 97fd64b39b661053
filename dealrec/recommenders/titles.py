"""The likelihood that a language model gives to the titles that held-out users chose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dealrec.config import LossSpan
from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.tokens import EncodedSample, batches_by_tokens, loss_targets, padded
from dealrec.recommenders.interface import Recommender

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TitleLosses:
    """Negative log-likelihood, in nats, of the true title after each of ``n`` prompts."""

    per_title: Float64
    """[n] sum over the title's tokens, including the end of the text."""
    tokens: npt.NDArray[np.int64]
    """[n] how many tokens the title has."""

    @property
    def per_token(self) -> Float64:
        """[n] mean over the title's tokens."""
        return self.per_title / self.tokens


def title_losses(
    recommender: Recommender,
    samples: Sequence[EncodedSample],
    *,
    batch_tokens: int = 4096,
    on_batch: Callable[[], None] = lambda: None,
) -> TitleLosses:
    """Measure the model as it is (with an adapter, if one is attached), without dropout.

    ``on_batch`` is called before each batch.
    """
    loaded = recommender.loaded
    loaded.model.eval()
    output, pad = loaded.model.get_output_embeddings(), loaded.tokenizer.pad_token_id or 0
    sums = np.empty(len(samples))

    def measure(batch: Sequence[int]) -> None:
        taken = [samples[index] for index in batch]
        targets = loss_targets(padded(taken, pad, loaded.device), taken, LossSpan.ANSWER)
        with torch.no_grad():
            hidden = recommender.hidden_states(taken)[targets.rows, targets.positions]
            losses = nn.functional.cross_entropy(
                output(hidden).float(), targets.labels, reduction="none"
            )
        found = losses.new_zeros(len(taken)).index_add_(0, targets.rows, losses)
        sums[batch] = found.double().cpu().numpy()

    for batch in batches_by_tokens([len(sample) for sample in samples], batch_tokens):
        on_batch()
        run_in_halves(batch, measure)
    counts = [len(sample) - sample.first_label(LossSpan.ANSWER) for sample in samples]
    return TitleLosses(sums, np.array(counts, dtype=np.int64))
