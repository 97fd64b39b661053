"""A second recommender: it encodes histories and titles, and ranks the catalogue by inner products."""

import numpy as np
import torch
from torch import nn

from dealrec.language_models.tokens import EncodedSample
from dealrec.progress import SILENT
from dealrec.recommenders.grounding import catalogue_vectors, text_vectors
from dealrec.recommenders.interface import Examination, Recommender


class Encoder(Recommender):
    def encode(self, samples):
        whole = super().encode(samples)
        return [EncodedSample(text.ids[: text.answer], text.answer) for text in whole]

    def objective(self, samples):
        return Contrast(self, samples)

    def examination(self, dataset, users, evaluation, *, folder=None, reporter=SILENT):
        titles = users.titles.texts
        vectors = catalogue_vectors(self.loaded, titles, folder=folder, reporter=reporter)
        return FullRanking(self, users, vectors)

    def states(self, texts):
        last = torch.tensor([len(text) - 1 for text in texts])
        return self.hidden_states(texts)[torch.arange(len(texts)), last]


class Contrast:
    def __init__(self, recommender, samples):
        self.recommender, self.texts = recommender, recommender.encode(samples)
        self.lengths = self.held = [len(text) for text in self.texts]
        self.targets = [1] * len(samples)
        titles = sorted({sample.output for sample in samples})
        self.titles = text_vectors(recommender.loaded, titles)
        self.labels = torch.tensor([titles.index(sample.output) for sample in samples])

    def loss_sum(self, samples):
        states = self.recommender.states([self.texts[index] for index in samples])
        labels = self.labels[list(samples)]
        return nn.functional.cross_entropy(states @ self.titles.T, labels, reduction="sum")


class FullRanking(Examination):
    def __init__(self, recommender, users, vectors):
        super().__init__(users)
        self.recommender, self.vectors = recommender, vectors
        self.texts_of_users = recommender.encode(users.prompts)

    @property
    def texts(self):
        return self.texts_of_users

    def candidate_losses(self, candidates, on_part):
        on_part()
        chances = self._scores(self.texts_of_users).log_softmax(1)
        asked = torch.from_numpy(self.users.titles.of_item[candidates].astype(np.int64))
        return -chances.gather(1, asked).double().numpy()

    def scores(self, adapter, on_part):
        of_item = torch.from_numpy(self.users.titles.of_item.astype(np.int64))
        for half in np.array_split(self.users.ranked, 2):
            on_part()
            yield self._scores([self.texts_of_users[index] for index in half.tolist()])[:, of_item]

    def _scores(self, texts):
        self.recommender.loaded.model.eval()
        with torch.no_grad():
            return self.recommender.states(texts) @ self.vectors.T
