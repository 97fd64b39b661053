"""The layers below the trained ones, run once over every text and kept.

Where only the last layers are trained, what the first of them is given never changes: epochs, seeds and
coresets share it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dealrec.errors import InputError
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.structure import Structure, find_structure, not_supported
from dealrec.language_models.tokens import EncodedSample, batches_by_tokens, padded
from dealrec.progress import SILENT, Reporter


class Trunk:
    """A decoder cut before its last ``trained`` layers.

    Raises:
        InputError: ``too_many_layers`` where no layer would be left below; ``model_not_supported``
            where the two parts one after the other do not give the whole decoder's hidden states.
    """

    def __init__(self, loaded: LoadedLanguageModel, trained: int) -> None:
        self._structure: Structure = find_structure(loaded.model)
        layers = list(self._structure.layers())
        if not layers:
            raise not_supported(loaded.model, "its decoder has no `layers`")
        if trained >= len(layers):
            raise InputError(
                f"`{loaded.name}` has {len(layers)} layers; fewer than that can be trained on a "
                "kept trunk.",
                code="too_many_layers",
            )
        self._lower, self._upper = layers[:-trained], layers[-trained:]
        tokens = torch.arange(8, device=loaded.device)[None] % loaded.model.config.vocab_size
        with torch.no_grad():
            whole = self._structure.hidden_states(tokens)
            parts = self.above(self.below(tokens))
        if whole.shape != parts.shape or not torch.allclose(whole, parts, rtol=1e-3, atol=1e-3):
            raise not_supported(loaded.model, "its layers cannot be run in two parts")

    def below(self, tokens: Tensor) -> Tensor:
        """[b, t, h] what the first trained layer is given, of right-padded ``tokens`` [b, t]."""
        outputs: list[Tensor] = []

        def hold(_module: nn.Module, _inputs: Any, output: Any) -> None:
            outputs.append(output if isinstance(output, Tensor) else output[0])

        handle = self._lower[-1].register_forward_hook(hold)
        try:
            with torch.no_grad(), self._running(self._lower) as decoder:
                decoder(input_ids=tokens, use_cache=False)
        finally:
            handle.remove()
        return outputs[0]

    def above(self, states: Tensor) -> Tensor:
        """[b, t, h] the decoder's hidden states after the final norm, of :meth:`below`'s."""
        with self._running(self._upper) as decoder:
            hidden: Tensor = decoder(inputs_embeds=states, use_cache=False).last_hidden_state
        return hidden

    @contextmanager
    def _running(self, layers: list[nn.Module]) -> Iterator[Any]:
        decoder: Any = self._structure.decoder
        whole = decoder.layers
        decoder.layers = nn.ModuleList(layers)
        try:
            yield decoder
        finally:
            decoder.layers = whole


class KeptTrunk:
    """:meth:`Trunk.below` of many texts, in a memory-mapped file, found again by their tokens.

    Args:
        path: The file; as large as all tokens times the hidden size, in the model's type.
        batch_tokens: Padded tokens that go through the trunk at a time.
    """

    def __init__(
        self,
        loaded: LoadedLanguageModel,
        trained: int,
        samples: Sequence[EncodedSample],
        path: Path,
        *,
        batch_tokens: int = 4096,
        reporter: Reporter = SILENT,
    ) -> None:
        self._trunk = Trunk(loaded, trained)
        self._device = loaded.device
        texts = list({tuple(sample.ids): sample for sample in samples}.values())
        self.tokens = sum(map(len, texts))
        width, dtype = loaded.model.config.hidden_size, loaded.model.dtype
        size = self.tokens * width
        path.parent.mkdir(parents=True, exist_ok=True)
        flat = torch.from_file(str(path), shared=True, size=size, dtype=dtype)
        self._states = flat.view(self.tokens, width)
        self._first: dict[tuple[int, ...], int] = {}
        pad, place = loaded.tokenizer.pad_token_id or 0, 0
        for batch in batches_by_tokens([len(text) for text in texts], batch_tokens):
            reporter.progress(len(self._first), len(texts), "text")
            taken = [texts[index] for index in batch]
            below = self._trunk.below(padded(taken, pad, self._device)).cpu()
            for text, states in zip(taken, below, strict=True):
                self._states[place : place + len(text)] = states[: len(text)]
                self._first[tuple(text.ids)] = place
                place += len(text)
        reporter.progress(len(texts), len(texts), "text")

    def hidden_states(self, samples: Sequence[EncodedSample]) -> Tensor:
        """[b, t, h] as :meth:`Structure.hidden_states` of the padded samples; only the last layers run.

        Raises ``KeyError`` for a text that was not kept.
        """
        length = max(len(sample) for sample in samples)
        states = self._states.new_zeros(len(samples), length, self._states.shape[1])
        for row, sample in zip(states, samples, strict=True):
            first = self._first[tuple(sample.ids)]
            row[: len(sample)] = self._states[first : first + len(sample)]
        return self._trunk.above(states.to(self._device))
