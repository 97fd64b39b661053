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
    """A causal language model as a decoder, which computes hidden states, and what makes logits of them."""

    model: Any
    """The whole model."""
    decoder: nn.Module
    """Maps tokens [b, t] to ``last_hidden_state`` [b, t, h], after the final norm."""
    outcome: type[Any]
    """The record that the decoder returns."""

    def layers(self) -> Sequence[nn.Module]:
        """Return the decoder's layers from first to last; empty if it has no list of them."""
        name = _layers_name(self.decoder)
        return [] if name is None else list(getattr(self.decoder, name))

    def logits(self, states: Tensor) -> Tensor:
        """Compute the logits [..., vocabulary] of final hidden states [..., h].

        The model's own forward pass computes them, with a decoder that returns ``states``. So they are
        scaled (Granite, Cohere) and capped (Gemma) exactly as the model does it.
        """
        rows = states.reshape(1, -1, states.shape[-1])
        tokens = torch.zeros(rows.shape[:2], dtype=torch.long, device=states.device)
        decoder: Any = self.decoder
        own = vars(decoder).get("forward")  # only where a library has wrapped the method
        decoder.forward = lambda *_, **__: self.outcome(last_hidden_state=rows)
        try:
            logits: Tensor = self.model(input_ids=tokens, use_cache=False).logits
        finally:
            del decoder.forward
            if own is not None:
                decoder.forward = own
        return logits.reshape(*states.shape[:-1], logits.shape[-1])

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
        name = _layers_name(decoder)
        if name is None:
            raise AttributeError("the decoder has no list of layers")
        whole, kinds = getattr(decoder, name), getattr(decoder.config, "layer_types", None)
        setattr(decoder, name, nn.ModuleList(layers))
        if kinds is not None:
            first = list(whole).index(layers[0])
            decoder.config.layer_types = kinds[first : first + len(layers)]
        try:
            yield decoder
        finally:
            setattr(decoder, name, whole)
            if kinds is not None:
                decoder.config.layer_types = kinds


def _layers_name(decoder: nn.Module) -> str | None:
    """Return the attribute with the decoder's layers: ``layers`` or ``h`` in all families so far."""
    lists = [n for n, module in decoder.named_children() if isinstance(module, nn.ModuleList)]
    return next((name for name in ("layers", "h", *lists) if name in lists), None)


def decoder_of(model: Any) -> nn.Module:
    """Return the part of ``model`` that computes hidden states; no weights are looked at.

    Raises:
        InputError: ``model_not_supported`` if the architecture is not a decoder with an output layer.
    """
    try:
        decoder: nn.Module = model.get_decoder()
        output = model.get_output_embeddings()
    except AttributeError:
        decoder, output = model, None
    if output is None or decoder is model:
        raise not_supported(model, "it has no decoder with an output layer on top")
    return decoder


def find_structure(model: Any) -> Structure:
    """Take ``model`` apart, and check on a few tokens that the parts reproduce its logits.

    Raises:
        InputError: ``model_not_supported`` if the architecture is not a decoder with an output layer,
            or if its logits depend on more than the decoder's hidden states.
    """
    decoder = decoder_of(model)
    try:
        tokens = torch.arange(8, device=model.device)[None] % model.config.vocab_size
        with torch.no_grad():
            whole = model(input_ids=tokens, use_cache=False).logits
            outcome = decoder(input_ids=tokens, use_cache=False)
            structure = Structure(model, decoder, type(outcome))
            parts = structure.logits(outcome.last_hidden_state)
    except (AttributeError, TypeError) as error:
        raise not_supported(model, "it has no decoder with an output layer on top") from error
    if whole.shape != parts.shape or not torch.allclose(
        whole, parts, rtol=1e-2, atol=1e-2, equal_nan=True
    ):
        raise not_supported(model, "its logits depend on more than its decoder's hidden states")
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
        raise not_supported(model, "its decoder has no list of layers")
    return layers[-1]


def not_supported(model: Any, reason: str) -> InputError:
    """Return the error for an architecture that cannot be used, with the reason."""
    architecture = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    return InputError(
        f"The architecture `{architecture}` cannot be used: {reason}.",
        code="model_not_supported",
        title="The language model is not supported",
    )
