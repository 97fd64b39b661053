"""The tokens that all texts begin with, run through a decoder once instead of once a text."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dealrec.language_models.structure import Structure

_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""Of hidden states, relative to the largest: what another order of summation may change."""


class PrefixReuse:
    """A decoder whose layers below the last keep the keys and values of a shared prefix.

    The last layer is given every text whole, the prefix's hidden states expanded over the batch:
    its keys and values are made anew, in the graph where there is one. So gradients of parameters
    of the last layer are exact, with the prefix tokens' part in them.
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
        """As :meth:`Structure.hidden_states`, of ``tokens`` [b, t] that begin with the prefix."""
        rows = len(tokens)
        cache = self._cache_type()
        for number, (keys, values) in enumerate(self._kept):
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        states = self._below_last(tokens[:, self._length :], cache)
        whole = torch.cat([self._states.expand(rows, -1, -1), states], dim=1)
        with self._running(self._layers[-1:]) as decoder:
            hidden: Tensor = decoder(inputs_embeds=whole, use_cache=False).last_hidden_state
        return hidden

    def _below_last(self, tokens: Tensor, cache: Any) -> Tensor:
        """[b, t, h] what the last layer is given, of tokens that follow those in ``cache``."""
        outputs: list[Tensor] = []

        def hold(_module: nn.Module, _inputs: Any, output: Any) -> None:
            outputs.append(output if isinstance(output, Tensor) else output[0])

        handle = self._layers[-2].register_forward_hook(hold)
        try:
            with self._running(self._layers[:-1]) as decoder:
                decoder(input_ids=tokens, use_cache=True, **{_cache_argument(decoder): cache})
        finally:
            handle.remove()
        return outputs[0]

    @contextmanager
    def _running(self, layers: list[nn.Module]) -> Iterator[Any]:
        """The decoder with some of its layers only."""
        decoder: Any = self._structure.decoder
        whole = decoder.layers
        decoder.layers = nn.ModuleList(layers)
        try:
            yield decoder
        finally:
            decoder.layers = whole


def _cache_argument(decoder: Any) -> str:
    """What this decoder calls the keys and values of earlier tokens; transformers is renaming it."""
    names = inspect.signature(decoder.forward).parameters
    return "cache" if "cache" in names else "past_key_values"


def reuse_prefix(
    model: Any, structure: Structure, prefix: Sequence[int], longest: int
) -> PrefixReuse | str:
    """The decoder with ``prefix`` kept, or in words why it cannot be.

    Whether an architecture allows it is found out, not assumed: on a text of ``longest`` tokens
    hidden states must be those of the whole decoder.
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
