"""From titles that a language model wrote to the items of the catalogue, by hidden states.

Bao et al., "A Bi-Step Grounding Paradigm for Large Language Models in Recommendation Systems"
(BIGRec), arXiv 2308.08434: an item is the nearer, the nearer the hidden state of its title's last
token is to that of the written title.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.structure import find_structure
from dealrec.language_models.tokens import EncodedSample, batches_by_tokens, padded


def text_vectors(
    loaded: LoadedLanguageModel, texts: Sequence[str], *, batch_tokens: int = 4096
) -> Tensor:
    """[n, h] float32: the hidden state of each text's last token, after the final norm.

    The model as it is; a caller that trained an adapter leaves it out. An empty text is the
    end-of-text token.
    """
    structure, tokenizer = find_structure(loaded.model), loaded.tokenizer
    end = tokenizer.eos_token_id or 0
    ids = tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    samples = [EncodedSample(tokens or [end], 0) for tokens in ids]
    found = torch.empty(len(samples), loaded.model.config.hidden_size, device=loaded.device)
    for batch in batches_by_tokens([len(sample) for sample in samples], batch_tokens):
        taken = [samples[index] for index in batch]
        last = torch.tensor([len(sample) - 1 for sample in taken], device=loaded.device)
        with torch.no_grad():
            states = structure.hidden_states(
                padded(taken, tokenizer.pad_token_id or 0, loaded.device)
            )
        found[batch] = states[torch.arange(len(taken), device=loaded.device), last].float()
    return found


class Grounding:
    """Scores of all ``I`` items for written titles, a chunk of users at a time.

    With ``popularity_weight`` γ the distance, brought to [0, 1] over the items of each user, is
    divided by ``(1 + p)^γ``, where ``p`` is the item's share of training interactions brought to
    [0, 1] (BIGRec's statistical injection). 0 leaves popularity out.

    Args:
        items: [I, h] of :func:`text_vectors`.
        popularity: [I] training interactions.
    """

    def __init__(
        self, items: Tensor, popularity: npt.NDArray[np.int64], popularity_weight: float = 0.0
    ) -> None:
        self._items = items
        counts = torch.from_numpy(popularity.astype(np.float32)).to(items.device)
        spread = (counts.max() - counts.min()).clamp(min=1)
        self._divisor = (1 + (counts - counts.min()) / spread) ** popularity_weight

    @property
    def items(self) -> int:
        """How many there are."""
        return len(self._items)

    def scores(self, written: Tensor) -> Tensor:
        """[b, I], the higher the better, of ``written`` [b, h]: no more users than fit beside I."""
        distances = torch.cdist(written, self._items)
        low, high = distances.amin(1, keepdim=True), distances.amax(1, keepdim=True)
        return -((distances - low) / (high - low).clamp(min=1e-12)) / self._divisor
