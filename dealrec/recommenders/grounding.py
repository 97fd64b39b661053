"""Titles that a language model wrote are matched to items of the catalogue by hidden states.

Bao et al., "A Bi-Step Grounding Paradigm for Large Language Models in Recommendation Systems"
(BIGRec), arXiv 2308.08434: the distance of an item is that between the hidden state of its title's
last token and that of the written title.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dealrec.disk import written_whole
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.structure import find_structure
from dealrec.language_models.tokens import EncodedSample, batches_by_tokens, padded
from dealrec.progress import SILENT, Reporter

_CHUNK_TITLES = 1024
"""Titles in a file; a process that dies loses the vectors of one file at most."""


def catalogue_vectors(
    loaded: LoadedLanguageModel,
    titles: Sequence[str],
    *,
    batch_tokens: int = 4096,
    folder: Path | None = None,
    reporter: Reporter = SILENT,
) -> Tensor:
    """Compute [n, h] as :func:`text_vectors`, in chunks that are kept in ``folder``, if there is one.

    Chunks that another process kept there for the same model and titles are read. ``reporter`` gets
    ``title``. Raises :class:`~dealrec.errors.Cancelled` when ``reporter`` says so, and ``OSError`` if
    the disk has no room.
    """
    shared = [loaded.name, loaded.revision, str(loaded.model.dtype), batch_tokens]
    found = []
    for first in range(0, len(titles), _CHUNK_TITLES):
        chunk = titles[first : first + _CHUNK_TITLES]
        digest = hashlib.sha256(json.dumps([*shared, *chunk]).encode()).hexdigest()[:32]
        path = None if folder is None else folder / f"{digest}.npy"
        if path is not None and path.is_file():
            found.append(torch.from_numpy(np.load(path)).to(loaded.device))
            continue

        def on_batch(done: int, first: int = first) -> None:
            reporter.progress(first + done, len(titles), "title")

        on_batch(0)
        vectors = text_vectors(loaded, chunk, batch_tokens=batch_tokens, on_batch=on_batch)
        if path is not None:
            with written_whole(path) as part, part.open("wb") as file:
                np.save(file, vectors.cpu().numpy())
        found.append(vectors)
    reporter.progress(len(titles), len(titles), "title")
    return torch.cat(found)


def text_vectors(
    loaded: LoadedLanguageModel,
    texts: Sequence[str],
    *,
    batch_tokens: int = 4096,
    on_batch: Callable[[int], None] = lambda _done: None,
) -> Tensor:
    """Compute [n, h] float32: the hidden state of each text's last token, after the final norm.

    The model is used as it is, so callers disable an adapter first. An empty text is read as the
    end-of-text token. ``on_batch`` gets the number of texts done, after each batch.
    """
    structure, tokenizer = find_structure(loaded.model), loaded.tokenizer
    end = tokenizer.eos_token_id or 0
    ids = tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    samples = [EncodedSample(tokens or [end], 0) for tokens in ids]
    found = torch.empty(len(samples), loaded.model.config.hidden_size, device=loaded.device)
    done = 0

    def read(batch: Sequence[int]) -> None:
        taken = [samples[index] for index in batch]
        last = torch.tensor([len(sample) - 1 for sample in taken], device=loaded.device)
        with torch.no_grad():
            states = structure.hidden_states(
                padded(taken, tokenizer.pad_token_id or 0, loaded.device)
            )
        found[batch] = states[torch.arange(len(taken), device=loaded.device), last].float()

    for batch in batches_by_tokens([len(sample) for sample in samples], batch_tokens):
        run_in_halves(batch, read)
        done += len(batch)
        on_batch(done)
    return found


class Grounding:
    """Scores all ``I`` items against written titles.

    The distance is scaled to [0, 1] over the items of each user and divided by ``(1 + p)^γ``, where γ
    is ``popularity_weight`` and ``p`` is the item's number of training interactions, scaled to [0, 1]
    (BIGRec's statistical injection). With 0 popularity has no effect.

    Args:
        items: [I, h] vectors from :func:`text_vectors`.
        popularity: [I] numbers of training interactions.
        popularity_weight: γ.
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
        """The number of items."""
        return len(self._items)

    def scores(self, written: Tensor) -> Tensor:
        """Compute [b, I] scores (higher is better) for ``written`` [b, h]; ``b * I`` must fit in memory."""
        distances = torch.cdist(written, self._items)
        low, high = distances.amin(1, keepdim=True), distances.amax(1, keepdim=True)
        return -((distances - low) / (high - low).clamp(min=1e-12)) / self._divisor
