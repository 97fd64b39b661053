"""How well a language model expects the titles that held-out users chose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dealrec.config import LossSpan
from dealrec.finetune.training import HiddenStates
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.structure import find_structure
from dealrec.language_models.tokens import EncodedSample, batches_by_tokens, loss_targets, padded

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TitleLosses:
    """Negative log-likelihood, in nats, of the true title after each of ``n`` prompts."""

    per_title: Float64
    """[n] sum over the title's tokens, the end of the text included."""
    tokens: npt.NDArray[np.int64]
    """[n] how many these are."""

    @property
    def per_token(self) -> Float64:
        """[n] mean over the title's tokens."""
        return self.per_title / self.tokens


def title_losses(
    loaded: LoadedLanguageModel,
    samples: Sequence[EncodedSample],
    hidden_states: HiddenStates | None = None,
    *,
    batch_tokens: int = 4096,
    on_batch: Callable[[], None] = lambda: None,
) -> TitleLosses:
    """The model as it is (with an adapter, if one is attached), without dropout.

    ``hidden_states`` takes the place of the whole decoder where a part of it is kept; ``on_batch``
    is called before each batch.
    """
    loaded.model.eval()
    structure, pad = find_structure(loaded.model), loaded.tokenizer.pad_token_id or 0
    sums = np.empty(len(samples))

    def measure(batch: Sequence[int]) -> None:
        taken = [samples[index] for index in batch]
        tokens = padded(taken, pad, loaded.device)
        targets = loss_targets(tokens, taken, LossSpan.ANSWER)
        with torch.no_grad():
            hidden = hidden_states(taken) if hidden_states else structure.hidden_states(tokens)
            logits = structure.output(hidden[targets.rows, targets.positions]).float()
            losses = nn.functional.cross_entropy(logits, targets.labels, reduction="none")
        found = losses.new_zeros(len(taken)).index_add_(0, targets.rows, losses)
        sums[batch] = found.double().cpu().numpy()

    for batch in batches_by_tokens([len(sample) for sample in samples], batch_tokens):
        on_batch()
        run_in_halves(batch, measure)
    counts = [len(sample) - sample.first_label(LossSpan.ANSWER) for sample in samples]
    return TitleLosses(sums, np.array(counts, dtype=np.int64))
