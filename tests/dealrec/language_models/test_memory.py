"""Batches that memory does not hold: the same figures from smaller ones."""

import numpy as np
import pytest
import torch

from dealrec.config.finetune import FinetuneConfig
from dealrec.language_models.memory import run_in_halves
from dealrec.recommenders.grounding import text_vectors
from dealrec.recommenders.registry import make_recommender
from dealrec.recommenders.titles import title_losses
from dealrec.recommenders.writing import write_titles
from tests.dealrec.language_models.tiny import tiny_loaded, tiny_prompts, tiny_samples


class Small:
    """Memory that holds ``rows`` rows at a time: set before a model's embedding of tokens."""

    def __init__(self, loaded, rows):
        self.rows, self.seen = rows, []
        loaded.model.get_input_embeddings().register_forward_pre_hook(self)

    def __call__(self, _module, inputs):
        self.seen.append(len(inputs[0]))
        if len(inputs[0]) > self.rows:
            raise torch.OutOfMemoryError


def test_all_places_are_run_once_in_order_and_in_pieces_that_fit():
    taken, tried = [], []

    def run(batch):
        tried.append(len(batch))
        if len(batch) > 3:
            raise torch.OutOfMemoryError
        taken.extend(batch)

    run_in_halves(list(range(11)), run)
    assert taken == list(range(11))
    assert tried[:3] == [11, 6, 3]


def test_a_single_one_that_does_not_fit_is_an_error():
    def run(_batch):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        run_in_halves([0, 1], run)


def test_losses_and_vectors_are_those_of_whole_batches():
    loaded = tiny_loaded()
    titles = [f"A title, number {number}" for number in range(9)]
    recommender = make_recommender(loaded, FinetuneConfig())
    texts = recommender.encode_branched(tiny_samples(12), [titles[:3]] * 12)
    losses = title_losses(recommender, texts)
    vectors = text_vectors(loaded, titles)
    memory = Small(loaded, rows=4)
    again = title_losses(recommender, texts)
    np.testing.assert_allclose(again, losses, rtol=1e-4)
    torch.testing.assert_close(text_vectors(loaded, titles), vectors, rtol=1e-4, atol=1e-5)
    assert max(memory.seen) > 4
    assert memory.seen.count(3) > 2


def test_titles_are_written_in_smaller_batches():
    loaded = tiny_loaded()
    prompts = tiny_prompts(loaded, 12)
    written = write_titles(loaded, prompts, beams=2, max_title_tokens=8)
    memory = Small(loaded, rows=6)
    assert write_titles(loaded, prompts, beams=2, max_title_tokens=8) == written
    assert max(memory.seen) > 6
