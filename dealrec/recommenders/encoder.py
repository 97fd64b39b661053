"""A language model that reads a history into a vector, which is compared with the vectors of titles.

Titles and histories go through the same language model, the same pooling and the same projection; the
cosine of two vectors over a temperature is the logit of a softmax over the catalogue. Items as texts
with a learned projection: Hou et al., "Towards Universal Sequence Representation Learning for
Recommender Systems" (UniSRec), arXiv 2206.05941; histories as texts: Li et al., "Text Is All You Need"
(Recformer), arXiv 2305.13731.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dealrec.config import EvaluationConfig
from dealrec.config.finetune import FinetuneConfig, HistoryVector, Pooling
from dealrec.data.dataset import Dataset, Int32
from dealrec.data.prompter import ShownTitles
from dealrec.data.prompts import PromptedSample
from dealrec.errors import FieldError, InputError
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.tokens import EncodedSample, Text, batches_by_tokens
from dealrec.metrics.ranking import CHUNK_ELEMENTS
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.held_out import HeldOutUsers
from dealrec.recommenders.interface import Examination, Floats, Measurement, Recommender
from dealrec.recommenders.pooled import PooledStates
from dealrec.recommenders.projection import whitening
from dealrec.recommenders.softmax import TitleSoftmax
from dealrec.recommenders.title_history import (
    TitleHistory,
    chosen,
    padded_histories,
    place_of,
    title_history,
)


class EncoderRecommender(Recommender):
    """It learns to put a history beside the title that was chosen next, and ranks by the cosine.

    The projection is trained beside the adapter. It starts as the whitening of the catalogue's states,
    which makes the untrained model comparable (Su et al., arXiv 2103.15316).

    Raises:
        InputError: ``no_catalogue`` if there are no ``titles``.
    """

    def __init__(
        self,
        loaded: LoadedLanguageModel,
        finetune: FinetuneConfig,
        trunk: Path | None = None,
        batch_tokens: int = 4096,
        *,
        titles: ShownTitles | None = None,
    ) -> None:
        super().__init__(loaded, finetune, trunk, batch_tokens, titles=titles)
        if titles is None:
            raise InputError(
                "The recommender `encoder` learns from the titles of the whole catalogue. Give the "
                "data from which the coreset was selected (`--interactions FILE --items FILE`; "
                "`interactions` and `items` in the library).",
                code="no_catalogue",
                errors=[
                    FieldError("finetune.recommender", "`encoder` needs the catalogue of items")
                ],
            )
        ids = loaded.tokenizer(titles.texts)["input_ids"]
        end = loaded.tokenizer.eos_token_id or 0
        self.titles = [EncodedSample((found or [end])[: finetune.max_tokens], 0) for found in ids]
        self._places = {text: place for place, text in enumerate(titles.texts)}
        self._batch_tokens = batch_tokens
        self._width: int = loaded.model.config.hidden_size
        self._dimensions = min(finetune.encoder.dimensions, self._width)
        self.head = nn.Linear(self._width, self._dimensions, device=loaded.device)
        self._start: tuple[Tensor, Tensor] | None = None
        self._title_states: Tensor | None = None
        self._states: PooledStates | None = None
        if self.frozen:
            folder = None if trunk is None else trunk / self._digest()
            self._states = PooledStates(self._read, self._width, folder, batch_tokens=batch_tokens)

    @property
    def frozen(self) -> bool:
        """Whether the language model stays as it is, so that each text is read once."""
        return self.trained_layers == 0

    @property
    def _of_titles(self) -> bool:
        return self.finetune.encoder.history is HistoryVector.TITLES

    @property
    def temperature(self) -> float:
        """The number that cosines are divided by."""
        return self.finetune.encoder.temperature

    def encode(self, samples: Sequence[PromptedSample]) -> list[EncodedSample]:
        """Return the tokens of each sample's prompt; the answer is a text of its own."""
        whole = super().encode(samples)
        return [EncodedSample(text.ids[: text.answer], text.answer) for text in whole]

    def texts(self, samples: Sequence[PromptedSample]) -> list[EncodedSample]:
        """As :meth:`Recommender.texts`; none where histories are made of the catalogue's titles."""
        return [] if self._of_titles else self.encode(samples)

    def lengths(self, samples: Sequence[PromptedSample]) -> list[int]:
        """As :meth:`Recommender.lengths`: tokens, or titles where histories are made of them."""
        return [len(history) for history in self.histories(samples)]

    def histories(
        self, samples: Sequence[PromptedSample]
    ) -> list[EncodedSample] | list[TitleHistory]:
        """Return each sample's history as ``finetune.encoder.history`` has it.

        Raises:
            InputError: ``max_tokens_too_small``, or ``history_not_titles`` and ``unknown_title``.
        """
        if self._of_titles:
            return [title_history(sample, self._places) for sample in samples]
        return self.encode(samples)

    def labels(self, samples: Sequence[PromptedSample]) -> list[int]:
        """Return the place of each sample's answer among the catalogue's titles.

        Raises:
            InputError: ``unknown_title`` if the catalogue has no such title.
        """
        return [place_of(sample.output, self._places) for sample in samples]

    def objective(self, samples: Sequence[PromptedSample]) -> TitleSoftmax:
        """Return the cross-entropy of the chosen title among those of the catalogue."""
        self._prepare()
        return TitleSoftmax(self, self.histories(samples), self.labels(samples))

    def examination(
        self,
        dataset: Dataset,
        users: HeldOutUsers,
        evaluation: EvaluationConfig,
        *,
        folder: Path | None = None,
        reporter: Reporter = SILENT,
    ) -> "EncoderExamination":
        """As :meth:`Recommender.examination`; the titles are those that the recommender was made with."""
        del dataset, evaluation, folder
        self._prepare(reporter)
        return EncoderExamination(self, users)

    def keep(self, texts: Sequence[Text], reporter: Reporter = SILENT) -> None:
        """As :meth:`Recommender.keep`, for ``texts`` and the catalogue's titles."""
        if self._states is not None:
            plain = [text for text in texts if isinstance(text, EncodedSample)]
            self._states.keep([*self.titles, *plain], reporter)
        else:
            super().keep([*self.titles, *texts], reporter)

    @property
    def head_learning_rate(self) -> float:
        """That of ``finetune.encoder``."""
        return self.finetune.encoder.learning_rate

    def reset_head(self) -> None:
        """Let the projection be the whitening of the untrained titles again."""
        assert self._start is not None
        with torch.no_grad():
            for parameter, start in zip(self.head.parameters(), self._start, strict=True):
                parameter.copy_(start)

    def vectors(self, histories: Sequence[EncodedSample] | Sequence[TitleHistory]) -> Tensor:
        """Return [b, d] vectors of length 1, with gradients where something is trained."""
        if self._of_titles:
            return self._mean_of_titles([h for h in histories if isinstance(h, TitleHistory)])
        return self._vectors_of([h for h in histories if isinstance(h, EncodedSample)])

    def _mean_of_titles(self, histories: Sequence[TitleHistory]) -> Tensor:
        places, weights = padded_histories(histories, self.finetune.encoder.decay)
        read, at = torch.unique(places, return_inverse=True)
        vectors = self.title_vectors(read)
        weights = weights.to(vectors)
        return nn.functional.normalize((vectors[at] * weights[..., None]).sum(1), dim=-1)

    def _vectors_of(self, texts: Sequence[EncodedSample]) -> Tensor:
        if self._states is not None:
            return self._projected(self._states.vectors(texts).to(self.loaded.device))
        return self._projected(self._read(texts).float())

    def title_vectors(self, places: Tensor | None = None) -> Tensor:
        """Return [b, d] as :meth:`vectors`, of the titles at ``places``, or of all."""
        if self._title_states is not None:
            states = self._title_states
            return self._projected(states if places is None else states[places.to(states.device)])
        chosen = range(len(self.titles)) if places is None else places.tolist()
        return self._vectors_of([self.titles[place] for place in chosen])

    def all_vectors(
        self,
        histories: Sequence[EncodedSample] | Sequence[TitleHistory],
        on_part: Callable[[], None] = lambda: None,
    ) -> Tensor:
        """Return [n, d] as :meth:`vectors`, in batches and without gradients."""
        self.loaded.model.eval()
        found = torch.empty(len(histories), self._dimensions, device=self.loaded.device)

        def read(batch: Sequence[int]) -> None:
            with torch.no_grad():
                found[list(batch)] = self.vectors(chosen(histories, batch))

        for batch in batches_by_tokens([len(one) for one in histories], self._batch_tokens):
            on_part()
            run_in_halves(batch, read)
        return found

    @property
    def trunk_seconds_per_token(self) -> float:
        """Mean time of reading a token once, where the language model stays as it is."""
        if self._of_titles:
            return 0.0
        if self._states is None:
            return super().trunk_seconds_per_token
        return self._states.seconds / self._states.tokens if self._states.tokens else 0.0

    def _projected(self, states: Tensor) -> Tensor:
        projected: Tensor = self.head(states)
        return nn.functional.normalize(projected, dim=-1)

    def _read(self, texts: Sequence[EncodedSample]) -> Tensor:
        """Return [b, h]: the pooled states of the model as it is."""
        states = self.hidden_states(texts)
        lengths = torch.tensor([len(text) for text in texts], device=states.device)
        if self.finetune.encoder.pooling is Pooling.LAST:
            return states[torch.arange(len(texts), device=states.device), lengths - 1]
        inside = torch.arange(states.shape[1], device=states.device) < lengths[:, None]
        return (states * inside[..., None]).sum(1) / lengths[:, None]

    def title_states(self, reporter: Reporter = SILENT) -> Tensor:
        """Return [D, h] the states of all titles in the untrained language model.

        No adapter may be attached. Raises :class:`~dealrec.errors.Cancelled` when ``reporter`` says so.
        """
        self.keep([], reporter)
        if self._states is not None:
            return self._states.vectors(self.titles).to(self.loaded.device)
        return self._untrained(self.titles, reporter)

    def _prepare(self, reporter: Reporter = SILENT) -> None:
        """Find where the projection starts; no adapter may be attached yet."""
        if self._start is not None:
            return
        states = self.title_states(reporter)
        if self.frozen:
            self._title_states = states
        self._start = whitening(states, self._dimensions)
        self.reset_head()

    def _untrained(self, texts: Sequence[EncodedSample], reporter: Reporter) -> Tensor:
        """Return [n, h]: the states of the whole model without an adapter."""
        found, done = torch.empty(len(texts), self._width, device=self.loaded.device), 0

        def read(batch: Sequence[int]) -> None:
            with torch.no_grad():
                found[list(batch)] = self._read([texts[index] for index in batch]).float()

        for batch in batches_by_tokens([len(text) for text in texts], self._batch_tokens):
            reporter.progress(done, len(texts), "title")
            run_in_halves(batch, read)
            done += len(batch)
        reporter.progress(done, len(texts), "title")
        return found

    def _digest(self) -> str:
        facts = [self.loaded.name, self.loaded.revision, self.loaded.model.dtype]
        facts.append(self.finetune.encoder.pooling)
        return "pooled-" + hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()[:16]


class EncoderExamination(Examination):
    """Users are asked for a softmax over all titles."""

    def __init__(self, recommender: EncoderRecommender, users: HeldOutUsers) -> None:
        super().__init__(users)
        self._recommender = recommender
        self._texts = recommender.texts(users.prompts)
        self._histories = recommender.histories(users.prompts)
        self._of_item = torch.from_numpy(users.titles.of_item.astype(np.int64))

    @property
    def texts(self) -> list[EncodedSample]:
        """The prompts that are read; the recommender keeps the titles itself."""
        return self._texts

    def measure(
        self, adapter: Any | None = None, on_part: Callable[[], None] = lambda: None
    ) -> Measurement:
        """As :meth:`Examination.measure`; every text is read once for all questions."""
        with torch.no_grad():
            self._titles = (
                self._recommender.title_vectors()
                if self._recommender.frozen
                else self._recommender.all_vectors(self._recommender.titles, on_part)
            )
        self._users = self._recommender.all_vectors(self._histories, on_part)
        return super().measure(adapter, on_part)

    def candidate_losses(self, candidates: Int32, on_part: Callable[[], None]) -> Floats:
        """As :meth:`Examination.candidate_losses`, of the softmax over the whole catalogue."""
        asked = self._of_item[torch.from_numpy(candidates.astype(np.int64))]
        found = np.empty(candidates.shape)
        for part in self._parts(np.arange(len(candidates))):
            on_part()
            chances = self._logits(part).log_softmax(1)
            own = chances.gather(1, asked[part].to(chances.device))
            found[part] = -own.double().cpu().numpy()
        return found

    def scores(self, adapter: Any | None, on_part: Callable[[], None]) -> Iterator[Tensor]:
        """As :meth:`Examination.scores`; items with equal titles have equal scores."""
        del adapter
        of_item = self._of_item.to(self._titles.device)
        for part in self._parts(self.users.ranked):
            on_part()
            yield self._logits(part)[:, of_item]

    def _logits(self, users: np.ndarray[Any, Any]) -> Tensor:
        """[b, D] logits of all titles for some of the users."""
        return self._users[torch.from_numpy(users)] @ self._titles.T / self._recommender.temperature

    def _parts(self, users: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
        count = max(len(self._titles), len(self._of_item))
        size = max(1, CHUNK_ELEMENTS // count)
        return [users[first : first + size] for first in range(0, len(users), size)]
