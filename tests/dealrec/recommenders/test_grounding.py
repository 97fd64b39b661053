import numpy as np
import torch

from dealrec.language_models.tokens import Encoder
from dealrec.recommenders.grounding import Grounding, text_vectors
from dealrec.recommenders.writing import write_titles
from tests.dealrec.language_models.tiny import WORDS, tiny_loaded, tiny_samples


def test_a_title_written_as_it_stands_is_grounded_to_its_item():
    loaded = tiny_loaded()
    titles = [f"{first} {second}" for first in WORDS for second in WORDS]
    items = text_vectors(loaded, titles, batch_tokens=100)
    grounding = Grounding(items, np.zeros(len(titles), dtype=np.int64))
    scores = grounding.scores(text_vectors(loaded, titles[::7]))
    assert scores.argmax(1).tolist() == list(range(0, len(titles), 7))
    assert text_vectors(loaded, [""]).isfinite().all()


def test_popularity_lifts_an_item_only_where_it_has_a_weight():
    items = torch.tensor([[1.0, 0.0], [1.2, 0.0], [5.0, 0.0], [0.5, 0.0]])
    written, popularity = torch.tensor([[0.0, 0.0]]), np.array([0, 100, 0, 0])
    order = [3, 0, 1, 2]
    assert Grounding(items, popularity).scores(written)[0].argsort().tolist()[::-1] == order
    lifted = Grounding(items, popularity, 1.0).scores(written)[0].argsort().tolist()[::-1]
    assert lifted == [3, 1, 0, 2]


def test_titles_written_in_a_batch_are_those_written_one_by_one():
    loaded = tiny_loaded()
    samples = Encoder(loaded.tokenizer, 512).encode(tiny_samples(6))
    together = write_titles(loaded, samples, beams=2, max_title_tokens=6)
    alone = [write_titles(loaded, [sample], beams=2, max_title_tokens=6)[0] for sample in samples]
    assert together == alone
    assert len(set(together)) > 1
