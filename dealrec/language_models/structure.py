"""The parts of a causal language model: decoder, layers, projections and output layer."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dealrec.errors import InputError


@dataclass(frozen=True)
class Structure:
    """A causal language model as a decoder, which computes hidden states, and an output layer."""

    decoder: nn.Module
    """Maps tokens [b, t] to ``last_hidden_state`` [b, t, h], after the final norm."""
    output: nn.Module
    """Maps hidden states [..., h] to logits [..., vocabulary]."""

    def layers(self) -> Sequence[nn.Module]:
        """Return the decoder's layers from first to last; empty if it has no ``layers``."""
        layers = getattr(self.decoder, "layers", None)
        return list(layers) if isinstance(layers, nn.ModuleList) else []

    def hidden_states(self, tokens: Tensor, **options: Any) -> Tensor:
        """Compute the final hidden states [b, t, h] of right-padded ``tokens`` [b, t].

        No mask is needed: attention is causal, so no token sees the padding after it, and the
        states of the padding are never read.
        """
        hidden: Tensor = self.decoder(
            input_ids=tokens, **{"use_cache": False, **options}
        ).last_hidden_state
        return hidden

    def states_below(self, layers: Sequence[nn.Module], tokens: Tensor, **options: Any) -> Tensor:
        """Compute the output [b, t, h] of the last of the decoder's first ``layers``.

        The decoder runs these layers alone on right-padded ``tokens`` [b, t]; ``options`` go to it.
        """
        outputs: list[Tensor] = []

        def hold(_module: nn.Module, _inputs: Any, output: Any) -> None:
            outputs.append(output if isinstance(output, Tensor) else output[0])

        handle = layers[-1].register_forward_hook(hold)
        try:
            with self._running(layers) as decoder:
                decoder(input_ids=tokens, **options)
        finally:
            handle.remove()
        return outputs[0]

    def states_above(self, layers: Sequence[nn.Module], states: Tensor, **options: Any) -> Tensor:
        """Compute the final hidden states [b, t, h] from the input [b, t, h] of the last ``layers``."""
        with self._running(layers) as decoder:
            hidden: Tensor = decoder(
                inputs_embeds=states, use_cache=False, **options
            ).last_hidden_state
        return hidden

    @contextmanager
    def _running(self, layers: Sequence[nn.Module]) -> Iterator[Any]:
        """Restrict the decoder to some of its layers, and the ways they attend in to those of these."""
        decoder: Any = self.decoder
        whole, kinds = decoder.layers, getattr(decoder.config, "layer_types", None)
        decoder.layers = nn.ModuleList(layers)
        if kinds is not None:
            first = list(whole).index(layers[0])
            decoder.config.layer_types = kinds[first : first + len(layers)]
        try:
            yield decoder
        finally:
            decoder.layers = whole
            if kinds is not None:
                decoder.config.layer_types = kinds


def find_structure(model: Any) -> Structure:
    """Take ``model`` apart, and check on a few tokens that the parts reproduce its logits.

    Raises:
        InputError: ``model_not_supported`` if the architecture is not a decoder with an output
            layer, or if it changes the logits further (scales or caps them).
    """
    try:
        structure = Structure(model.get_decoder(), model.get_output_embeddings())
        tokens = torch.arange(8, device=model.device)[None] % model.config.vocab_size
        with torch.no_grad():
            whole = model(input_ids=tokens, use_cache=False).logits
            parts = structure.output(structure.hidden_states(tokens))
    except (AttributeError, TypeError) as error:
        raise not_supported(model, "it has no decoder with an output layer on top") from error
    if whole.shape != parts.shape or not torch.allclose(
        whole, parts, rtol=1e-2, atol=1e-2, equal_nan=True
    ):
        raise not_supported(model, "its logits are more than the output layer of its decoder")
    return structure


def takes_positions(decoder: nn.Module) -> bool:
    """Whether the decoder can be told the positions of tokens."""
    return "position_ids" in inspect.signature(decoder.forward).parameters


def last_layer(model: Any, structure: Structure) -> nn.Module:
    """Return the last decoder layer.

    Raises:
        InputError: ``model_not_supported`` if it cannot be found.
    """
    layers = structure.layers()
    if not layers:
        raise not_supported(model, "its decoder has no `layers`")
    return layers[-1]


def projection(model: Any, layer: nn.Module, name: str) -> nn.Linear:
    """Return the only linear layer called ``name`` (``v_proj``) in a decoder layer.

    Raises:
        InputError: ``model_not_supported`` if there is none, as in architectures that compute
            queries, keys and values in a single layer.
    """
    found = [
        module
        for path, module in layer.named_modules()
        if path.rpartition(".")[2] == name and isinstance(module, nn.Linear)
    ]
    if len(found) != 1:
        raise not_supported(model, f"its last layer has no projection `{name}` of its own")
    return found[0]


def not_supported(model: Any, reason: str) -> InputError:
    """Return the error for an architecture that cannot be used, with the reason."""
    architecture = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    return InputError(
        f"The architecture `{architecture}` cannot be used: {reason}.",
        code="model_not_supported",
        title="The language model is not supported",
    )
