"""A language model that is trained to write the next title, which is grounded to the catalogue.

Bao et al., "A Bi-Step Grounding Paradigm for Large Language Models in Recommendation Systems"
(BIGRec), arXiv 2308.08434.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from dealrec.config import EvaluationConfig, Ranking
from dealrec.data.dataset import Dataset, Int32
from dealrec.data.prompts import PromptedSample
from dealrec.language_models.tokens import BranchedText, EncodedSample, Text, loss_targets, padded
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.grounding import Grounding, catalogue_vectors
from dealrec.recommenders.held_out import HeldOutUsers
from dealrec.recommenders.interface import Examination, Floats, Recommender
from dealrec.recommenders.rankings import CatalogueRanking, GroundedRanking, TrieRanking
from dealrec.recommenders.titles import title_losses
from dealrec.recommenders.writing import AnswerForm, as_written

NLL_PER_TOKEN = "nll_per_token"  # noqa: S105 - the name of a metric


class BigRec(Recommender):
    """It learns the tokens of titles, and ranks items by what it writes."""

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
        """As :meth:`Recommender.examination`; the catalogue is read only to ground written titles."""
        ranking: CatalogueRanking | None = None
        if len(users.ranked) and evaluation.ranking is Ranking.TRIE:
            ranking = self._trie(users, evaluation)
        elif len(users.ranked):
            ranking = self._grounded(dataset, users, evaluation, folder, reporter)
        return TitleExamination(self, users, evaluation, ranking)

    def _trie(self, users: HeldOutUsers, evaluation: EvaluationConfig) -> TrieRanking:
        (text,) = self.encode_branched(users.prompts[:1], [users.titles.texts])
        return TrieRanking(
            self.loaded, evaluation, text.answers, users.titles.of_item, users.histories
        )

    def _grounded(
        self,
        dataset: Dataset,
        users: HeldOutUsers,
        evaluation: EvaluationConfig,
        folder: Path | None,
        reporter: Reporter,
    ) -> GroundedRanking:
        """Ground to the titles as they would be written, so that a perfect title is that of its item."""
        endings = self.endings(users.prompts[0], users.titles.texts)
        form = AnswerForm.of(self.loaded.tokenizer, users.titles.texts, endings)
        written = as_written(self.loaded, endings, evaluation.max_title_tokens, form)
        texts, place = np.unique(np.array(written, dtype=object), return_inverse=True)
        of_item = place[users.titles.of_item].astype(np.int64)
        vectors = catalogue_vectors(
            self.loaded,
            texts.tolist(),
            batch_tokens=evaluation.batch_tokens,
            folder=folder,
            reporter=reporter,
        )
        _, trained = dataset.subsequences((0,))
        popularity = np.bincount(of_item[trained], minlength=len(texts)).astype(np.int64)
        grounding = Grounding(vectors, popularity, evaluation.popularity_weight)
        return GroundedRanking(self.loaded, evaluation, grounding, of_item, form)


class TitleObjective:
    """Cross-entropy in nats, one term for each token to predict."""

    def __init__(self, recommender: BigRec, samples: Sequence[EncodedSample]) -> None:
        self._recommender, self._samples = recommender, samples
        self._loss_on = recommender.finetune.loss_on
        self.lengths = self.held = [len(sample) for sample in samples]
        self.targets = [len(sample) - sample.first_label(self._loss_on) for sample in samples]

    def loss_sum(self, samples: Sequence[int]) -> Tensor:
        """As :meth:`Objective.loss_sum`."""
        batch, loaded = [self._samples[index] for index in samples], self._recommender.loaded
        tokens = padded(batch, loaded.tokenizer.pad_token_id or 0, loaded.device)
        targets = loss_targets(tokens, batch, self._loss_on)
        hidden = self._recommender.hidden_states(batch)[targets.rows, targets.positions]
        logits = self._recommender.logits(hidden)
        return nn.functional.cross_entropy(logits.float(), targets.labels, reduction="sum")


class TitleExamination(Examination):
    """Users are asked for the likelihood of titles, and for a ranking of those of the catalogue."""

    def __init__(
        self,
        recommender: BigRec,
        users: HeldOutUsers,
        evaluation: EvaluationConfig,
        ranking: CatalogueRanking | None,
    ) -> None:
        super().__init__(users)
        self._recommender, self._evaluation = recommender, evaluation
        self._catalogue = ranking
        self._branched = self._with_titles(users.candidates)
        self._together = recommender.can_branch(max(self._branched, key=len))

    @property
    def texts(self) -> Sequence[Text]:
        """The prompts with all candidates behind each; none where they are read one by one."""
        return self._branched if self._together else []

    def candidate_losses(self, candidates: Int32, on_part: Callable[[], None]) -> Floats:
        """Measure the cross-entropy of each title's tokens, its end among them."""
        kept = candidates is self.users.candidates
        return title_losses(
            self._recommender,
            self._branched if kept else self._with_titles(candidates),
            batch_tokens=self._evaluation.batch_tokens,
            on_batch=on_part,
            together=self._together,
            kept=kept,
        )

    def own_metrics(self, nll: Floats) -> dict[str, Floats]:
        """Return ``nll_per_token``: ``nll`` divided by the tokens of the title."""
        return {NLL_PER_TOKEN: nll / [len(text.answers[0]) for text in self._branched]}

    def _with_titles(self, candidates: Int32) -> list[BranchedText]:
        titles = self.users.titles
        outputs = [
            [titles.texts[place] for place in row] for row in titles.of_item[candidates].tolist()
        ]
        return self._recommender.encode_branched(self.users.prompts, outputs)

    def scores(self, adapter: Any | None, on_part: Callable[[], None]) -> Iterator[Tensor]:
        """As :meth:`Examination.scores`, by the ranking that ``evaluation.ranking`` names."""
        assert self._catalogue is not None
        prompts = [self._branched[index].prompt for index in self.users.ranked.tolist()]
        return self._catalogue.scores(prompts, adapter, on_part)
