"""Runs the tokens that all texts begin with through a decoder once instead of once per text."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dealrec.language_models.structure import Structure

_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""The allowed difference of hidden states relative to the largest one, from reordered sums."""


class PrefixReuse:
    """A decoder whose layers below the last reuse the keys and values of a shared prefix.

    The last layer processes every text whole; the prefix's hidden states are expanded over the
    batch. The last layer computes its keys and values anew, inside the graph if there is one, so
    the gradients of its parameters are exact and include the contribution of the prefix tokens.
    """

    def __init__(self, structure: Structure, prefix: Sequence[int], device: torch.device) -> None:
        from transformers import DynamicCache

        self._structure = structure
        self._layers = list(structure.layers())
        self._length = len(prefix)
        self._cache_type = DynamicCache
        tokens = torch.tensor([list(prefix)], device=device)
        cache = DynamicCache()
        with torch.no_grad():
            self._states = self._below_last(tokens, cache)
        self._kept = [(layer.keys, layer.values) for layer in cache.layers]

    def hidden_states(self, tokens: Tensor) -> Tensor:
        """Compute :meth:`Structure.hidden_states` of ``tokens`` [b, t] that begin with the prefix."""
        rows = len(tokens)
        cache = self._cache_type()
        for number, (keys, values) in enumerate(self._kept):
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        states = self._below_last(tokens[:, self._length :], cache)
        whole = torch.cat([self._states.expand(rows, -1, -1), states], dim=1)
        return self._structure.states_above(self._layers[-1:], whole)

    def _below_last(self, tokens: Tensor, cache: Any) -> Tensor:
        """Compute the last layer's input [b, t, h] for tokens that follow those in ``cache``."""
        options = {"use_cache": True, cache_argument(self._structure.decoder): cache}
        return self._structure.states_below(self._layers[:-1], tokens, **options)


def cache_argument(decoder: Any) -> str:
    """Return this decoder's argument for earlier keys and values; transformers is renaming it."""
    names = inspect.signature(decoder.forward).parameters
    return "cache" if "cache" in names else "past_key_values"


def reuse_prefix(
    model: Any, structure: Structure, prefix: Sequence[int], longest: int
) -> PrefixReuse | str:
    """Return the decoder with the computed ``prefix``, or the reason in words why it cannot reuse it.

    A trial decides whether the architecture allows the reuse: on a text of ``longest`` tokens the
    hidden states must equal those of the whole decoder.
    """
    if not prefix:
        return "the texts share no prefix"
    if len(set(getattr(model.config, "layer_types", None) or [None])) > 1:
        return "the layers attend in different ways"
    filler = range(longest - len(prefix))
    ids = [*prefix, *(number % model.config.vocab_size for number in filler)]
    tokens = torch.tensor([ids], device=model.device)
    try:
        reuse = PrefixReuse(structure, prefix, model.device)
        with torch.no_grad():
            expected, found = structure.hidden_states(tokens), reuse.hidden_states(tokens)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        return f"the architecture does not allow it ({type(error).__name__})"
    limit = _TOLERANCE[expected.dtype] * expected.abs().max()
    if expected.shape != found.shape or not bool(((expected - found).abs() <= limit).all()):
        return "the architecture does not allow it (other hidden states)"
    return reuse
