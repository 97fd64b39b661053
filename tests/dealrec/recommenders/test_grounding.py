from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from dealrec.config import EvaluationConfig, FinetuneConfig, PromptConfig
from dealrec.errors import Cancelled
from dealrec.language_models.tokens import Encoder
from dealrec.progress import Silent
from dealrec.recommenders import grounding, rankings
from dealrec.recommenders.bigrec import BigRec
from dealrec.recommenders.grounding import Grounding, catalogue_vectors, text_vectors
from dealrec.recommenders.held_out import held_out_users
from dealrec.recommenders.writing import as_written, write_titles
from tests.dealrec.language_models.tiny import WORDS, byte_tokenizer, tiny_loaded, tiny_prompts
from tests.dealrec.surrogates.data import ring_dataset


def test_a_title_written_as_it_stands_is_grounded_to_its_item():
    loaded = tiny_loaded()
    titles = [f"{first} {second}" for first in WORDS for second in WORDS]
    items = text_vectors(loaded, titles, batch_tokens=100)
    found = Grounding(items, np.zeros(len(titles), dtype=np.int64))
    scores = found.scores(text_vectors(loaded, titles[::7]))
    assert scores.argmax(1).tolist() == list(range(0, len(titles), 7))
    assert text_vectors(loaded, [""]).isfinite().all()


class Seen(Silent):
    def __init__(self, stop_at=None):
        self.steps, self.stop_at = [], stop_at

    def progress(self, done, total, unit):
        if done == self.stop_at:
            raise Cancelled("stopped")
        self.steps.append((done, total, unit))


def test_a_catalogues_vectors_are_kept_and_go_on_where_they_were_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(grounding, "_CHUNK_TITLES", 10)
    loaded = tiny_loaded()
    titles = [f"{first} {second}" for first in WORDS[:5] for second in WORDS[:5]]
    with pytest.raises(Cancelled):
        catalogue_vectors(loaded, titles, folder=tmp_path, reporter=Seen(stop_at=25))
    assert len(list(tmp_path.glob("*.npy"))) == 2
    computed = []

    def watched(loaded, texts, **rest):
        computed.extend(texts)
        return text_vectors(loaded, texts, **rest)

    monkeypatch.setattr(grounding, "text_vectors", watched)
    seen = Seen()
    found = catalogue_vectors(loaded, titles, folder=tmp_path, reporter=seen)
    assert computed == titles[20:]
    assert seen.steps[0] == (20, 25, "title")
    assert seen.steps[-1] == (25, 25, "title")
    torch.testing.assert_close(found, text_vectors(loaded, titles))
    again = catalogue_vectors(loaded, titles, folder=tmp_path)
    assert computed == titles[20:]
    assert torch.equal(again, found)
    assert not list(tmp_path.glob(".*"))
    changed = ["other", *titles[1:]]
    assert not torch.equal(catalogue_vectors(loaded, changed, folder=tmp_path), found)
    assert computed == titles[20:] + changed[:10]


def test_popularity_lifts_an_item_only_where_it_has_a_weight():
    items = torch.tensor([[1.0, 0.0], [1.2, 0.0], [5.0, 0.0], [0.5, 0.0]])
    written, popularity = torch.tensor([[0.0, 0.0]]), np.array([0, 100, 0, 0])
    order = [3, 0, 1, 2]
    assert Grounding(items, popularity).scores(written)[0].argsort().tolist()[::-1] == order
    lifted = Grounding(items, popularity, 1.0).scores(written)[0].argsort().tolist()[::-1]
    assert lifted == [3, 1, 0, 2]


def test_titles_written_in_a_batch_are_those_written_one_by_one():
    loaded = tiny_loaded()
    prompts = tiny_prompts(loaded, 6)
    together = write_titles(loaded, prompts, beams=2, max_title_tokens=6)
    alone = [write_titles(loaded, [prompt], beams=2, max_title_tokens=6)[0] for prompt in prompts]
    assert together == alone
    assert len(set(together)) > 1


LONG = [
    f"{number} tales of the {WORDS[number % 8]} fox, who ran over the quiet hills and far away"
    for number in range(60)
]


def _ranks(titles, monkeypatch, evaluation, prompt):
    """The rank of each user's answer, where every user's title is written to the letter."""
    dataset = ring_dataset(users=60, items=60)
    dataset = replace(dataset, titles=pa.array(titles))
    users = held_out_users(dataset, prompt, evaluation)
    written = Encoder(byte_tokenizer(), 4096).encode(users.prompts)
    letter = [one.ids[one.answer :] for one in written]

    def write(loaded, prompts, *, max_title_tokens, form, **_options):
        return as_written(loaded, letter, max_title_tokens, form)

    monkeypatch.setattr(rankings, "write_titles", write)
    examination = BigRec(tiny_loaded(), FinetuneConfig()).examination(dataset, users, evaluation)
    (scores,) = examination.scores(None, lambda: None)
    own = scores.gather(1, torch.from_numpy(users.candidates[:, :1].astype(np.int64)))
    above, equal = (scores > own).sum(1), (scores == own).sum(1)
    return (above + (1 + equal) / 2).tolist()


@pytest.mark.parametrize(("characters", "tokens"), [(40, 512), (120, 32), (40, 32), (200, 512)])
def test_a_long_title_that_is_written_perfectly_is_ranked_first(monkeypatch, characters, tokens):
    evaluation = EvaluationConfig(ranking_users=60, max_title_tokens=tokens, candidates=0)
    prompt = PromptConfig(title_characters=characters)
    assert set(_ranks(LONG, monkeypatch, evaluation, prompt)) == {1.0}


def test_items_with_equal_titles_share_a_rank(monkeypatch):
    evaluation = EvaluationConfig(ranking_users=60, candidates=0)
    titles = [f"Tale {number // 3}" for number in range(60)]
    assert set(_ranks(titles, monkeypatch, evaluation, PromptConfig())) == {2.0}
