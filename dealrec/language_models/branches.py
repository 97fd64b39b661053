"""Runs a prompt once with many answers behind it, none of which sees another.

A mask of attention separates the answers, and the positions of each start where the prompt ends. So every
answer has the hidden states that it has alone behind the prompt, and the prompt is paid for once.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from dealrec.language_models.structure import Structure
from dealrec.language_models.tokens import BranchedText, EncodedSample, Text, padded

_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""The allowed difference of hidden states relative to the largest one, from reordered sums."""
_FULL, _SLIDING = "full_attention", "sliding_attention"


def model_input(texts: Sequence[Text], pad: int, model: Any) -> tuple[Tensor, dict[str, Any]]:
    """Return the tokens [b, t] of texts of one kind, padded on the right, and the decoder's options."""
    plain = [text for text in texts if isinstance(text, EncodedSample)]
    if plain:
        return padded(plain, pad, model.device), {}
    branched = [text for text in texts if isinstance(text, BranchedText)]
    return branched_tokens(branched, pad, model.device), branch_options(branched, model)


def branched_tokens(texts: Sequence[BranchedText], pad: int, device: torch.device) -> Tensor:
    """Join prompts and answers into [b, t] int64, padded on the right to the longest text."""
    width = max(map(len, texts))
    rows = [
        [*text.prompt, *chain.from_iterable(text.read)] + [pad] * (width - len(text))
        for text in texts
    ]
    return torch.tensor(rows, dtype=torch.long, device=device)


def branch_options(texts: Sequence[BranchedText], model: Any) -> dict[str, Any]:
    """Return the decoder's options that separate the answers: positions [b, t], and the mask.

    The mask is [b, 1, t, t] in the model's type, 0 where a token is seen and the lowest number where
    it is not. A model whose layers attend in different ways gets one for each way.
    """
    branches, positions = _layout(texts, model.device)
    distance = positions[:, :, None] - positions[:, None, :]
    own = branches[:, :, None] == branches[:, None, :]
    prompt = (branches == 0)[:, None, :]
    padding = (branches < 0)[:, :, None]
    # Within a branch positions rise; a token of padding sees itself alone, so that it is finite.
    seen = (own & (distance >= 0) & ~padding) | (prompt & (distance >= 0) & ~padding)
    seen |= torch.eye(seen.shape[1], dtype=torch.bool, device=seen.device)
    window = getattr(model.config, "sliding_window", None)
    near = seen if window is None else seen & (distance < window)
    kinds = set(getattr(model.config, "layer_types", None) or [])
    if not kinds:
        mask: Any = _additive(near, model.dtype)
    else:
        made = {_FULL: seen, _SLIDING: near}
        mask = {kind: _additive(made[kind], model.dtype) for kind in kinds}
        if len(kinds) == 1:
            (mask,) = mask.values()
    return {"position_ids": positions, "attention_mask": mask}


def _layout(texts: Sequence[BranchedText], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return [b, t] branches (0 the prompt, then each answer's number, -1 padding), and positions."""
    width = max(map(len, texts))
    branches, positions = [], []
    for text in texts:
        first = len(text.prompt)
        lengths = [first, *map(len, text.read)]
        padding = width - len(text)
        branches.append(
            [n for n, length in enumerate(lengths) for _ in range(length)] + [-1] * padding
        )
        places = [first + place for length in lengths[1:] for place in range(length)]
        positions.append([*range(first), *places] + [0] * padding)
    return torch.tensor(branches, device=device), torch.tensor(positions, device=device)


def _additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    hidden = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return hidden.masked_fill_(~seen, torch.finfo(dtype).min)[:, None]


def can_branch(model: Any, structure: Structure, text: BranchedText, pad: int) -> bool:
    """Whether the answers of ``text`` have the hidden states that each has alone, by trial.

    A model that ignores such a mask, or keeps places of its own (as ALiBi and recurrent ones do), fails it.
    """
    first, start = len(text.prompt), len(text.prompt)
    try:
        with torch.no_grad():
            tokens, options = model_input([text], pad, model)
            together = structure.hidden_states(tokens, **options)[0]
            for answer in text.read:
                alone = structure.hidden_states(
                    torch.tensor([[*text.prompt, *answer]], device=model.device)
                )[0, first:]
                found = together[start : start + len(answer)]
                limit = _TOLERANCE[alone.dtype] * together.abs().max()
                if not bool(((found - alone).abs() <= limit).all()):
                    return False
                start += len(answer)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RuntimeError):
        return False
    return True
