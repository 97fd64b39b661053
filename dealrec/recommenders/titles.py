"""The likelihood that a language model gives to titles after the histories of users."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.tokens import BranchedText, EncodedSample, Text, batches_by_tokens
from dealrec.recommenders.interface import Recommender

Float64 = npt.NDArray[np.float64]

_LOGITS_AT_ONCE = 512
"""Tokens whose logits over the vocabulary are held at once."""


def title_losses(
    recommender: Recommender,
    texts: Sequence[BranchedText],
    *,
    batch_tokens: int = 4096,
    on_batch: Callable[[], None] = lambda: None,
    together: bool = True,
    kept: bool = True,
) -> Float64:
    """Measure [U, C] the negative log-likelihood, in nats, of ``C`` titles after each of ``U`` prompts.

    It is the sum over a title's tokens, including the end of the text. The model is measured as it is
    (with an adapter, if one is attached), without dropout.

    Args:
        recommender: The one whose model is measured.
        texts: [U] prompts with ``C`` titles each.
        batch_tokens: Padded tokens in a batch.
        on_batch: It is called before each batch.
        together: Read each prompt once, with all titles behind it. Otherwise every title is read alone
            behind its prompt, which every model allows.
        kept: Use the states that the recommender has kept of ``texts``, if it keeps any. Without it, and
            where titles are read alone, all layers are run.
    """
    recommender.loaded.model.eval()
    count = len(texts[0].answers)
    alone = [] if together else [plain for text in texts for plain in text.alone()]
    asked: Sequence[Text] = texts if together else alone
    use_kept = kept and together
    states = recommender.hidden_states if use_kept else recommender.states_of_all_layers
    found = np.empty((len(asked), count if together else 1))

    def measure(batch: Sequence[int]) -> None:
        taken = [asked[index] for index in batch]
        places = [_places(row, text) for row, text in enumerate(taken)]
        rows, positions, labels, titles = torch.tensor(
            [place for of_text in places for place in of_text], device=recommender.loaded.device
        ).unbind(1)
        with torch.no_grad():
            losses = _token_losses(recommender, states(taken)[rows, positions], labels)
        sums = losses.new_zeros(len(taken), found.shape[1], dtype=torch.float64)
        sums.index_put_((rows, titles), losses.double(), accumulate=True)
        found[batch] = sums.cpu().numpy()

    for batch in batches_by_tokens([len(text) for text in asked], batch_tokens):
        on_batch()
        run_in_halves(batch, measure)
    return found.reshape(len(texts), count)


def _token_losses(recommender: Recommender, hidden: Tensor, labels: Tensor) -> Tensor:
    """Compute [m] cross-entropies from [m, h] hidden states."""
    return torch.cat(
        [
            nn.functional.cross_entropy(recommender.logits(states).float(), asked, reduction="none")
            for states, asked in zip(
                torch.split(hidden, _LOGITS_AT_ONCE),
                torch.split(labels, _LOGITS_AT_ONCE),
                strict=True,
            )
        ]
    )


def _places(row: int, text: Text) -> list[tuple[int, int, int, int]]:
    """Return row, position, token and title for each token that is predicted from that position."""
    if isinstance(text, EncodedSample):
        return [(row, place - 1, text.ids[place], 0) for place in range(text.answer, len(text))]
    found, start, last = [], len(text.prompt), len(text.prompt) - 1
    for title, (answer, read) in enumerate(zip(text.answers, text.read, strict=True)):
        positions = [last, *range(start, start + len(read))]
        found += [(row, p, token, title) for p, token in zip(positions, answer, strict=True)]
        start += len(read)
    return found
