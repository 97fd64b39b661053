"""A language model that is trained to write the next title, which is grounded to the catalogue.

Bao et al., "A Bi-Step Grounding Paradigm for Large Language Models in Recommendation Systems"
(BIGRec), arXiv 2308.08434.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dealrec.config import EvaluationConfig
from dealrec.data.dataset import Dataset
from dealrec.data.prompts import PromptedSample
from dealrec.language_models.tokens import EncodedSample, loss_targets, padded
from dealrec.metrics.ranking import CHUNK_ELEMENTS
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.grounding import Grounding, catalogue_vectors, text_vectors
from dealrec.recommenders.held_out import HeldOutUsers
from dealrec.recommenders.interface import NLL, ORDER_GAIN, Examination, Floats, Recommender
from dealrec.recommenders.titles import title_losses
from dealrec.recommenders.writing import write_titles

NLL_PER_TOKEN = "nll_per_token"  # noqa: S105 - the name of a metric


class BigRec(Recommender):
    """It learns the tokens of titles, and ranks items by their nearness to the title that it writes."""

    def objective(self, samples: Sequence[PromptedSample]) -> "TitleObjective":
        """Return the cross-entropy of the tokens that ``finetune.loss_on`` names."""
        return TitleObjective(self, self.encode(samples))

    def examination(
        self,
        dataset: Dataset,
        users: HeldOutUsers,
        evaluation: EvaluationConfig,
        *,
        folder: Path | None = None,
        reporter: Reporter = SILENT,
    ) -> "TitleExamination":
        """As :meth:`Recommender.examination`; the catalogue is read only if a ranking is asked for."""
        grounding = None
        if len(users.ranked):
            items = catalogue_vectors(
                self.loaded,
                [title.replace('"', "'") for title in dataset.titles.to_pylist()],
                batch_tokens=evaluation.batch_tokens,
                folder=folder,
                reporter=reporter,
            )
            _, trained = dataset.subsequences((0,))
            popularity = np.bincount(trained, minlength=dataset.n_items).astype(np.int64)
            grounding = Grounding(items, popularity, evaluation.popularity_weight)
        return TitleExamination(self, users, evaluation, grounding)


class TitleObjective:
    """Cross-entropy in nats, one term for each token to predict."""

    def __init__(self, recommender: BigRec, samples: Sequence[EncodedSample]) -> None:
        self._recommender, self._samples = recommender, samples
        self._loss_on = recommender.finetune.loss_on
        self.lengths = [len(sample) for sample in samples]
        self.targets = [len(sample) - sample.first_label(self._loss_on) for sample in samples]

    def loss_sum(self, samples: Sequence[int]) -> Tensor:
        """As :meth:`Objective.loss_sum`."""
        batch, loaded = [self._samples[index] for index in samples], self._recommender.loaded
        tokens = padded(batch, loaded.tokenizer.pad_token_id or 0, loaded.device)
        targets = loss_targets(tokens, batch, self._loss_on)
        hidden = self._recommender.hidden_states(batch)[targets.rows, targets.positions]
        logits = loaded.model.get_output_embeddings()(hidden)
        return nn.functional.cross_entropy(logits.float(), targets.labels, reduction="sum")


class TitleExamination(Examination):
    """Users are asked for the likelihood of the true title, and for a title of the model's own."""

    def __init__(
        self,
        recommender: BigRec,
        users: HeldOutUsers,
        evaluation: EvaluationConfig,
        grounding: Grounding | None,
    ) -> None:
        super().__init__(users)
        self._recommender, self._evaluation = recommender, evaluation
        self._grounding = grounding
        self._prompts = recommender.encode(users.prompts)
        self._shuffled = recommender.encode(users.shuffled)

    @property
    def texts(self) -> list[EncodedSample]:
        """The prompts with their answers, in order and shuffled."""
        return [*self._prompts, *self._shuffled]

    def losses(self, on_part: Callable[[], None]) -> dict[str, Floats]:
        """Return ``nll``, ``nll_per_token`` and ``order_gain``."""
        found, shuffled = (
            title_losses(
                self._recommender,
                texts,
                batch_tokens=self._evaluation.batch_tokens,
                on_batch=on_part,
            )
            for texts in (self._prompts, self._shuffled)
        )
        return {
            NLL: found.per_title,
            NLL_PER_TOKEN: found.per_token,
            ORDER_GAIN: shuffled.per_title - found.per_title,
        }

    def scores(self, adapter: Any | None, on_part: Callable[[], None]) -> Iterator[Tensor]:
        """As :meth:`Examination.scores`; titles are written with the adapter and grounded without."""
        assert self._grounding is not None
        loaded, evaluation = self._recommender.loaded, self._evaluation
        titles = write_titles(
            loaded,
            [self._prompts[index] for index in self.users.ranked.tolist()],
            beams=evaluation.beams,
            max_title_tokens=evaluation.max_title_tokens,
            batch_tokens=evaluation.batch_tokens,
            on_batch=on_part,
        )
        with adapter.disable_adapter() if adapter else nullcontext():
            written = text_vectors(loaded, titles, batch_tokens=evaluation.batch_tokens)
        for chunk in torch.split(written, max(1, CHUNK_ELEMENTS // self._grounding.items)):
            on_part()
            with torch.no_grad():
                scores = self._grounding.scores(chunk)
            yield scores
