"""Two ways in which a model that writes titles ranks a whole catalogue."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dealrec.config import EvaluationConfig
from dealrec.data.dataset import Int32
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.metrics.ranking import CHUNK_ELEMENTS
from dealrec.recommenders.grounding import Grounding, text_vectors
from dealrec.recommenders.trie import TitleTrie, rank_titles
from dealrec.recommenders.writing import TITLE, AnswerForm, write_titles

Int64 = npt.NDArray[np.int64]


class CatalogueRanking(Protocol):
    """Scores ``I`` items after prompts with the model as it is; items of equal titles score the same."""

    def scores(
        self,
        prompts: Sequence[list[int]],
        adapter: Any | None,
        on_part: Callable[[], None],
        /,
    ) -> Iterator[Tensor]:
        """Yield [b, I] scores (higher is better), prompt after prompt.

        Args:
            prompts: The tokens of each.
            adapter: The ``PeftModel`` around the model, if one is attached.
            on_part: It is called between parts.
        """


class GroundedRanking:
    """The model writes a title freely, and the items are ranked by their titles' nearness to it.

    Args:
        loaded: The language model.
        evaluation: How titles are written.
        grounding: The ``D`` different titles.
        of_item: [I] the place among them of each item's title.
        form: How an answer is told from what is written around it.
    """

    def __init__(
        self,
        loaded: LoadedLanguageModel,
        evaluation: EvaluationConfig,
        grounding: Grounding,
        of_item: Int64,
        form: AnswerForm = TITLE,
    ) -> None:
        self._form = form
        self._loaded, self._evaluation, self._grounding = loaded, evaluation, grounding
        self._of_item = torch.from_numpy(of_item).to(loaded.device)

    def scores(
        self,
        prompts: Sequence[list[int]],
        adapter: Any | None,
        on_part: Callable[[], None],
    ) -> Iterator[Tensor]:
        """As :meth:`CatalogueRanking.scores`; titles are grounded without the adapter."""
        evaluation = self._evaluation
        titles = write_titles(
            self._loaded,
            prompts,
            beams=evaluation.beams,
            max_title_tokens=evaluation.max_title_tokens,
            batch_tokens=evaluation.batch_tokens,
            form=self._form,
            on_batch=on_part,
        )
        with adapter.disable_adapter() if adapter else nullcontext():
            written = text_vectors(self._loaded, titles, batch_tokens=evaluation.batch_tokens)
        for chunk in torch.split(written, max(1, CHUNK_ELEMENTS // len(self._of_item))):
            on_part()
            with torch.no_grad():
                scores = self._grounding.scores(chunk)[:, self._of_item]
            yield scores


class TrieRanking:
    """The model can write titles of the catalogue alone, and they are ranked by their likelihood.

    Titles that the search does not reach share the last place.

    Args:
        loaded: The language model.
        evaluation: The width of the search.
        titles: The tokens of the ``D`` different titles.
        of_item: [I] the place among them of each item's title.
        seen: The items that each user was seen with. A title is left out if all of its items were seen.
    """

    def __init__(
        self,
        loaded: LoadedLanguageModel,
        evaluation: EvaluationConfig,
        titles: Sequence[Sequence[int]],
        of_item: Int32,
        seen: Sequence[Int32],
    ) -> None:
        self._loaded, self._evaluation = loaded, evaluation
        self._trie, self._of_item = TitleTrie(titles), of_item
        items = np.bincount(of_item, minlength=len(titles))
        self._left_out = [
            np.flatnonzero(np.bincount(of_item[mine], minlength=len(titles)) == items)
            for mine in seen
        ]

    def scores(
        self,
        prompts: Sequence[list[int]],
        _adapter: Any | None,
        on_part: Callable[[], None],
    ) -> Iterator[Tensor]:
        """As :meth:`CatalogueRanking.scores`."""
        found = rank_titles(
            self._loaded,
            prompts,
            self._trie,
            self._left_out,
            count=self._evaluation.ranked_titles,
            batch_tokens=self._evaluation.batch_tokens,
            on_batch=on_part,
        )
        for ranked in found:
            least = min(ranked.log_likelihoods, default=0.0) - 1
            scores = np.full(len(self._trie.order), least)
            scores[ranked.titles] = ranked.log_likelihoods
            yield torch.from_numpy(scores[self._of_item])[None]
