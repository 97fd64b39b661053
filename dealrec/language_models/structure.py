"""The parts of a causal language model that effort and fine-tuning work with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dealrec.errors import InputError


@dataclass(frozen=True)
class Structure:
    """A causal language model as a decoder, which gives hidden states, and an output layer."""

    decoder: nn.Module
    """Tokens [b, t] -> ``last_hidden_state`` [b, t, h], after the final norm."""
    output: nn.Module
    """Hidden states [..., h] -> logits [..., vocabulary]."""

    def layers(self) -> Sequence[nn.Module]:
        """The decoder's layers from first to last; empty where they are called otherwise."""
        layers = getattr(self.decoder, "layers", None)
        return list(layers) if isinstance(layers, nn.ModuleList) else []

    def hidden_states(self, tokens: Tensor, **options: Any) -> Tensor:
        """[b, t, h] of right-padded ``tokens`` [b, t].

        No mask is needed: attention is causal, so no token sees the padding after it, and what the
        padding itself computes is never read.
        """
        hidden: Tensor = self.decoder(
            input_ids=tokens, **{"use_cache": False, **options}
        ).last_hidden_state
        return hidden


def find_structure(model: Any) -> Structure:
    """Take ``model`` apart, and check on a few tokens that the parts make its logits.

    Raises:
        InputError: ``model_not_supported`` for an architecture that does more to its logits than
            a decoder and an output layer (it scales or caps them), or is built otherwise.
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


def last_layer(model: Any, structure: Structure) -> nn.Module:
    """The last decoder layer.

    Raises:
        InputError: ``model_not_supported`` where it cannot be found.
    """
    layers = structure.layers()
    if not layers:
        raise not_supported(model, "its decoder has no `layers`")
    return layers[-1]


def projection(model: Any, layer: nn.Module, name: str) -> nn.Linear:
    """The one linear layer called ``name`` (``v_proj``) in a decoder layer.

    Raises:
        InputError: ``model_not_supported`` where there is none, as in architectures that compute
            queries, keys and values in one layer.
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
    """The error for an architecture that cannot be worked with."""
    architecture = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    return InputError(
        f"The architecture `{architecture}` cannot be used: {reason}.",
        code="model_not_supported",
        title="The language model is not supported",
    )
