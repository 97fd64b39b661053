"""The trunk: the frozen layers below the trained ones, run once over every text.

If only the last layers are trained, the input of the first of them never changes, so epochs, seeds and
coresets share it.
"""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dealrec.disk import reserve, written_whole
from dealrec.errors import InputError
from dealrec.language_models.branches import model_input
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.structure import Structure, find_structure, not_supported
from dealrec.language_models.tokens import BranchedText, EncodedSample, Text, batches_by_tokens
from dealrec.progress import SILENT, Reporter

_CHUNK_TEXTS = 1024
"""Texts in a file; a process that dies loses the texts of one file at most."""


class Trunk:
    """A decoder cut before its last ``trained`` layers.

    Raises:
        InputError: ``too_many_layers`` if no layer would be left below the cut; ``model_not_supported``
            if the two parts one after the other do not give the whole decoder's hidden states.
    """

    def __init__(self, loaded: LoadedLanguageModel, trained: int) -> None:
        self._structure: Structure = find_structure(loaded.model)
        layers = list(self._structure.layers())
        if not layers:
            raise not_supported(loaded.model, "its decoder has no `layers`")
        if trained >= len(layers):
            raise InputError(
                f"`{loaded.name}` has {len(layers)} layers, so `lora.last_layers` must be smaller than "
                "that.",
                code="too_many_layers",
            )
        self._lower, self._upper = layers[:-trained], layers[-trained:]
        tokens = torch.arange(8, device=loaded.device)[None] % loaded.model.config.vocab_size
        with torch.no_grad():
            whole = self._structure.hidden_states(tokens)
            parts = self.above(self.below(tokens))
        if whole.shape != parts.shape or not torch.allclose(whole, parts, rtol=1e-3, atol=1e-3):
            raise not_supported(loaded.model, "its layers cannot be run in two parts")

    def below(self, tokens: Tensor, **options: Any) -> Tensor:
        """Compute the first trained layer's input [b, t, h] for right-padded ``tokens`` [b, t]."""
        with torch.no_grad():
            return self._structure.states_below(self._lower, tokens, use_cache=False, **options)

    def above(self, states: Tensor, **options: Any) -> Tensor:
        """Compute the hidden states [b, t, h] after the final norm from :meth:`below`'s states.

        ``options`` are those that :meth:`below` was given.
        """
        return self._structure.states_above(self._upper, states, **options)


class KeptTrunk:
    """Keeps the trunk's output for many texts in memory-mapped files, found by the texts' tokens.

    States that another process kept under ``folder`` for the same model and layers are used again.
    Sums over padded batches differ in their last place from batch to batch, so the states of a text
    also depend in the last place on the texts beside which it was kept first.

    Args:
        loaded: The language model, without an adapter.
        trained: How many of its last layers are trained.
        folder: It gets a folder for this model and cut, of the size of all tokens times the hidden
            size in the model's type.
        batch_tokens: Padded tokens that go through the trunk at a time.
    """

    def __init__(
        self, loaded: LoadedLanguageModel, trained: int, folder: Path, *, batch_tokens: int = 4096
    ) -> None:
        self._trunk = Trunk(loaded, trained)
        self._model, self._device, self._dtype = loaded.model, loaded.device, loaded.model.dtype
        self._width: int = loaded.model.config.hidden_size
        self._pad: int = loaded.tokenizer.pad_token_id or 0
        self._batch_tokens = batch_tokens
        cut = f"{loaded.name}\n{loaded.revision}\n{self._dtype}\n{trained}"
        self._folder = folder / hashlib.sha256(cut.encode()).hexdigest()[:16]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._chunks: list[Tensor] = []
        self.seconds = 0.0
        """How long computing all kept states took, in this process or another."""
        self._places: dict[tuple[int, ...], tuple[int, int]] = {}
        for index in sorted(self._folder.glob("*.npz")):
            with np.load(index, allow_pickle=False) as kept:
                self._add(index.with_suffix(".bin"), np.split(kept["ids"], kept["ends"]))
                self.seconds += float(kept["seconds"])

    @property
    def tokens(self) -> int:
        """The number of tokens whose states are kept."""
        return sum(map(len, self._chunks))

    def keep(self, texts: Sequence[Text], reporter: Reporter = SILENT) -> None:
        """Run the trunk over the texts that are not kept yet; ``reporter`` gets ``text``.

        Raises ``OSError`` if the disk has no room for a file of them, before it is computed.
        """
        new = {text.key: text for text in texts if text.key not in self._places}
        done = 0
        reporter.progress(0, len(new), "text")
        for kind in (EncodedSample, BranchedText):
            alike = sorted((t for t in new.values() if isinstance(t, kind)), key=len, reverse=True)
            for first in range(0, len(alike), _CHUNK_TEXTS):
                chunk = alike[first : first + _CHUNK_TEXTS]
                self._keep_chunk(chunk, (done, len(new)), reporter)
                done += len(chunk)

    def _keep_chunk(self, texts: Sequence[Text], done: tuple[int, int], reporter: Reporter) -> None:
        lengths = [len(text) for text in texts]
        path = self._folder / f"{len(self._chunks):06}.bin"
        reserve(path, sum(lengths) * self._width * self._dtype.itemsize)
        states, firsts = self._mapped(path, sum(lengths)), np.cumsum([0, *lengths])
        started, count = time.perf_counter(), 0
        for batch in batches_by_tokens(lengths, self._batch_tokens):
            reporter.progress(done[0] + count, done[1], "text")
            tokens, options = model_input([texts[i] for i in batch], self._pad, self._model)
            below = self._trunk.below(tokens, **options)
            for index, found in zip(batch, below.cpu(), strict=True):
                states[firsts[index] : firsts[index + 1]] = found[: lengths[index]]
            count += len(batch)
        reporter.progress(done[0] + count, done[1], "text")
        seconds = time.perf_counter() - started
        ids = [np.array(text.key, dtype=np.int32) for text in texts]
        with written_whole(path.with_suffix(".npz")) as part, part.open("wb") as file:
            ends = np.cumsum([len(key) for key in ids])[:-1]
            np.savez(file, ids=np.concatenate(ids), ends=ends, seconds=seconds)
        self._add(path, ids)
        self.seconds += seconds

    def _add(self, path: Path, texts: Sequence[np.ndarray[Any, Any]]) -> None:
        chunk, first = len(self._chunks), 0
        for ids in texts:
            self._places[tuple(ids.tolist())] = chunk, first
            first += int((ids >= 0).sum())  # other numbers separate answers
        self._chunks.append(self._mapped(path, first))

    def _mapped(self, path: Path, tokens: int) -> Tensor:
        size = tokens * self._width
        flat = torch.from_file(str(path), shared=True, size=size, dtype=self._dtype)
        return flat.view(tokens, self._width)

    def hidden_states(self, texts: Sequence[Text]) -> Tensor:
        """Compute [b, t, h] hidden states of padded texts of one kind; only the last layers are run.

        Raises ``KeyError`` for a text that was not kept.
        """
        length = max(map(len, texts))
        states = torch.zeros(len(texts), length, self._width, dtype=self._dtype)
        for row, text in zip(states, texts, strict=True):
            chunk, first = self._places[text.key]
            row[: len(text)] = self._chunks[chunk][first : first + len(text)]
        _, options = model_input(texts, self._pad, self._model)
        return self._trunk.above(states.to(self._device), **options)
