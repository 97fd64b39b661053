"""What held-out users show of a recommender, user by user."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dealrec.config import EvaluationConfig
from dealrec.data.dataset import Dataset
from dealrec.finetune.training import HiddenStates
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.tokens import EncodedSample, Encoder
from dealrec.metrics.ranking import CHUNK_ELEMENTS, METRICS, user_metrics
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.grounding import Grounding, catalogue_vectors, text_vectors
from dealrec.recommenders.held_out import HeldOutUsers
from dealrec.recommenders.titles import title_losses
from dealrec.recommenders.writing import write_titles

Floats = npt.NDArray[np.float64]

NLL = "nll"
NLL_PER_TOKEN = "nll_per_token"  # noqa: S105 - the name of a metric
ORDER_GAIN = "order_gain"


@dataclass(frozen=True)
class Measured:
    """Metrics of every user, and how long it took to get them."""

    users: dict[str, Floats]
    """``nll``, ``nll_per_token`` (nats of the true title) and ``order_gain`` (nats that a shuffled
    history costs), each [U]; where a ranking was asked for ``recall@K`` and ``ndcg@K``, each [Q]."""
    seconds: float

    @property
    def means(self) -> dict[str, float]:
        """Over users."""
        return {name: float(values.mean()) for name, values in self.users.items()}

    @property
    def standard_errors(self) -> dict[str, float]:
        """Of these means."""
        return {
            name: float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
            for name, values in self.users.items()
        }


class Examination:
    """The questions as tokens, and the catalogue as vectors of the model without any adapter.

    Made before an adapter is attached, and asked again and again after.
    """

    def __init__(
        self,
        loaded: LoadedLanguageModel,
        dataset: Dataset,
        users: HeldOutUsers,
        evaluation: EvaluationConfig,
        encoder: Encoder,
        *,
        folder: Path | None = None,
        reporter: Reporter = SILENT,
    ) -> None:
        """``folder`` keeps the catalogue's vectors; ``reporter`` gets ``title`` while they are made."""
        self._loaded, self._users, self._evaluation = loaded, users, evaluation
        self._prompts = encoder.encode(users.prompts)
        self._shuffled = encoder.encode(users.shuffled)
        self._grounding = None
        if len(users.ranked):
            self._grounding = self._catalogue(dataset, folder, reporter)

    @property
    def texts(self) -> list[EncodedSample]:
        """All whose hidden states are asked for."""
        return [*self._prompts, *self._shuffled]

    def measure(
        self,
        hidden_states: HiddenStates | None = None,
        adapter: Any | None = None,
        on_part: Callable[[], None] = lambda: None,
    ) -> Measured:
        """Ask everything of the model as it is now.

        Args:
            hidden_states: In place of the whole decoder, where a part of it is kept.
            adapter: The ``PeftModel`` around the model, if there is one.
            on_part: Called between parts.
        """
        started, batch_tokens = time.perf_counter(), self._evaluation.batch_tokens
        found = title_losses(
            self._loaded, self._prompts, hidden_states, batch_tokens=batch_tokens, on_batch=on_part
        )
        shuffled = title_losses(
            self._loaded, self._shuffled, hidden_states, batch_tokens=batch_tokens, on_batch=on_part
        )
        users = {
            NLL: found.per_title,
            NLL_PER_TOKEN: found.per_token,
            ORDER_GAIN: shuffled.per_title - found.per_title,
        }
        if self._grounding is not None:
            users |= self._ranking(self._grounding, adapter, on_part)
        return Measured(users, time.perf_counter() - started)

    def _catalogue(self, dataset: Dataset, folder: Path | None, reporter: Reporter) -> Grounding:
        titles = [title.replace('"', "'") for title in dataset.titles.to_pylist()]
        items = catalogue_vectors(
            self._loaded,
            titles,
            batch_tokens=self._evaluation.batch_tokens,
            folder=folder,
            reporter=reporter,
        )
        _, trained = dataset.subsequences((0,))
        popularity = np.bincount(trained, minlength=dataset.n_items).astype(np.int64)
        return Grounding(items, popularity, self._evaluation.popularity_weight)

    def _ranking(
        self, grounding: Grounding, adapter: Any | None, on_part: Callable[[], None]
    ) -> dict[str, Floats]:
        """Titles are written by the model with its adapter, and grounded without."""
        evaluation, users = self._evaluation, self._users
        titles = write_titles(
            self._loaded,
            [self._prompts[index] for index in users.ranked.tolist()],
            beams=evaluation.beams,
            max_title_tokens=evaluation.max_title_tokens,
            batch_tokens=evaluation.batch_tokens,
            on_batch=on_part,
        )
        plain: AbstractContextManager[Any] = adapter.disable_adapter() if adapter else nullcontext()
        with plain:
            written = text_vectors(self._loaded, titles, batch_tokens=evaluation.batch_tokens)
        size = max(1, CHUNK_ELEMENTS // grounding.items)
        parts = []
        for first in range(0, len(written), size):
            on_part()
            chunk = slice(first, first + size)
            with torch.no_grad():
                scores = grounding.scores(written[chunk])
            parts.append(user_metrics(scores, users.histories[chunk], users.answers[chunk]))
        metrics = np.concatenate(parts)
        return dict(zip(METRICS, metrics.T, strict=True))
