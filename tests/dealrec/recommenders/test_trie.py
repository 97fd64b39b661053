"""A search that writes nothing but titles."""

import itertools

import numpy as np
import pytest
import torch

from dealrec.config import EvaluationConfig
from dealrec.recommenders.rankings import TrieRanking
from dealrec.recommenders.titles import title_losses
from dealrec.recommenders.trie import TitleTrie, rank_titles
from tests.dealrec.language_models.tiny import WORDS, tiny_samples
from tests.dealrec.recommenders.test_titles import recommender_of

TITLES = [f'"{first} {second}"' for first, second in itertools.product(WORDS, WORDS[:4])]
NOTHING = np.empty(0, np.int64)


def _asked(kind, users=5):
    recommender = recommender_of(kind)
    texts = recommender.encode_branched(tiny_samples(users), [TITLES] * users)
    return recommender, [text.prompt for text in texts], texts


@pytest.mark.parametrize("kind", ["llama", "gpt2", "window", "alibi"])
def test_a_search_that_is_wide_enough_finds_every_title_with_its_exact_likelihood(kind):
    recommender, prompts, texts = _asked(kind)
    trie = TitleTrie(texts[0].answers)
    exact = title_losses(recommender, texts, together=False)
    found = rank_titles(
        recommender.loaded, prompts, trie, [NOTHING] * 5, count=len(TITLES), batch_tokens=10_000
    )
    for ranked, losses in zip(found, exact, strict=True):
        assert sorted(ranked.titles.tolist()) == list(range(len(TITLES)))
        np.testing.assert_allclose(-ranked.log_likelihoods, losses[ranked.titles], atol=1e-4)
        assert (np.diff(ranked.log_likelihoods) <= 0).all()


def test_a_narrow_search_writes_titles_alone_with_exact_likelihoods_and_none_that_is_left_out():
    recommender, prompts, texts = _asked("llama")
    trie = TitleTrie(texts[0].answers)
    exact = title_losses(recommender, texts)
    left_out = [np.argsort(losses)[:3] for losses in exact]
    found = rank_titles(recommender.loaded, prompts, trie, left_out, count=4, batch_tokens=300)
    for ranked, losses, without in zip(found, exact, left_out, strict=True):
        assert len(ranked.titles) == 4
        assert not set(ranked.titles.tolist()) & set(without.tolist())
        np.testing.assert_allclose(-ranked.log_likelihoods, losses[ranked.titles], atol=1e-4)
    hits = [
        losses[np.setdiff1d(np.arange(32), w)].min()
        for losses, w in zip(exact, left_out, strict=True)
    ]
    best = [-ranked.log_likelihoods[0] for ranked in found]
    assert np.isclose(best, hits, atol=1e-4).sum() >= 3


def test_a_title_may_begin_another_and_equal_tokens_share_a_score():
    recommender = recommender_of("llama")
    titles = [[10, 11, 12], [10, 11], [10, 11, 12], [13]]
    (ranked,) = rank_titles(
        recommender.loaded, [[1, 2, 3]], TitleTrie(titles), [np.array([3])], count=4
    )
    scores = dict(zip(ranked.titles.tolist(), ranked.log_likelihoods.tolist(), strict=True))
    assert scores.keys() == {0, 1, 2}
    assert scores[0] == scores[2] < scores[1]
    with torch.no_grad():
        chances = recommender.loaded.model(torch.tensor([[1, 2, 3, 10]])).logits[0].log_softmax(1)
    assert scores[1] == pytest.approx(float(chances[2, 10] + chances[3, 11]), abs=1e-4)


def test_a_users_ranking_has_titles_with_an_unseen_item_and_equal_titles_share_a_rank():
    recommender, prompts, texts = _asked("llama", users=2)
    of_item = np.arange(40, dtype=np.int32) % 32  # eight titles are those of two items
    seen = [np.array([0, 32, 1, 9], np.int32), np.array([2, 3], np.int32)]
    evaluation = EvaluationConfig(ranked_titles=8)
    ranking = TrieRanking(recommender.loaded, evaluation, texts[0].answers, of_item, seen)
    for scores, mine in zip(ranking.scores(prompts, None, lambda: None), seen, strict=True):
        assert scores.shape == (1, 40)
        assert scores.isfinite().all()
        reached = set(of_item[(scores[0] > scores.min()).numpy()].tolist())
        assert len(reached) == 8
        assert torch.equal(scores[0, :8], scores[0, 32:])
        assert reached.isdisjoint({0, 9} if 9 in mine else set())
