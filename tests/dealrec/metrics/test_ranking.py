import math

import numpy as np
import pytest
import torch

from dealrec.config import Split
from dealrec.metrics import ranking
from dealrec.metrics.ranking import Questions, build_questions, evaluate_ranking
from tests.dealrec.surrogates.data import ring_dataset


def score_table(n_items, seed=0):
    """Scores that depend on the last item alone, without ties."""
    table = torch.from_numpy(np.random.default_rng(seed).normal(size=(n_items, n_items)))
    return lambda sequences, lengths: table[sequences[torch.arange(len(sequences)), lengths - 1]]


def reference(scorer, dataset, split, cutoff):
    """One user at a time, with lists."""
    recalls, gains = [], []
    code = {Split.VALID: 1, Split.TEST: 2}[split]
    for user in range(dataset.n_users):
        part = slice(dataset.offsets[user], dataset.offsets[user + 1])
        items, splits = dataset.items[part], dataset.splits[part]
        history, answers = items[splits < code].tolist(), set(items[splits == code].tolist())
        if not answers or not history:
            continue
        scores = scorer(torch.tensor([history]), torch.tensor([len(history)]))[0].tolist()
        order = sorted(range(dataset.n_items), key=lambda item: -scores[item])
        top = [item for item in order if item not in history][:cutoff]
        hits = [1 / math.log2(place + 2) for place, item in enumerate(top) if item in answers]
        ideal = sum(1 / math.log2(place + 2) for place in range(min(len(answers), cutoff)))
        recalls.append(len(hits) / len(answers))
        gains.append(sum(hits) / ideal)
    return np.array(recalls), np.array(gains)


@pytest.mark.parametrize("split", [Split.VALID, Split.TEST])
def test_it_equals_a_plain_reference_whatever_the_chunks(split, monkeypatch):
    dataset = ring_dataset(users=80, items=40)
    scorer = score_table(40)
    for elements in (1 << 23, 300):
        monkeypatch.setattr(ranking, "CHUNK_ELEMENTS", elements)
        found = evaluate_ranking(scorer, build_questions(dataset, split), n_items=40, max_length=50)
        for cutoff in (5, 10, 20):
            recalls, gains = reference(scorer, dataset, split, cutoff)
            assert found.users == len(recalls)
            assert found.values[f"recall@{cutoff}"] == pytest.approx(recalls.mean(), abs=1e-12)
            assert found.values[f"ndcg@{cutoff}"] == pytest.approx(gains.mean(), abs=1e-12)
            error = gains.std(ddof=1) / math.sqrt(len(gains))
            assert found.standard_errors[f"ndcg@{cutoff}"] == pytest.approx(error, abs=1e-12)


def one(scores, history, answers):
    questions = Questions([np.array(history, np.int32)], [np.array(answers, np.int32)])
    scorer = lambda sequences, lengths: torch.tensor([scores])  # noqa: E731
    return evaluate_ranking(scorer, questions, n_items=len(scores), max_length=5).values


def test_several_answers_share_recall_and_the_ideal_order():
    values = one([0.0, 9, 8, 7, 6, 5, 4, 3], history=[1], answers=[2, 7])
    assert values["recall@5"] == 0.5
    assert values["ndcg@5"] == pytest.approx(1 / (1 + 1 / math.log2(3)))
    assert values["recall@10"] == 1.0


def test_a_model_that_knows_nothing_ranks_every_answer_in_the_middle():
    for answer in (1, 20, 40):
        values = one([0.0] * 41, history=[0], answers=[answer])
        assert values["recall@10"] == 0
        assert values["recall@20"] == 0
        assert values["recall@50"] == 1


def test_an_answer_that_was_seen_before_cannot_be_hit():
    assert one([9.0, 8, 7], history=[0], answers=[0])["recall@50"] == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_a_finite_number_is_an_error(bad):
    with pytest.raises(ValueError, match="not a finite number"):
        one([bad, 1.0], history=[0], answers=[1])


def test_fewer_questions_are_spread_evenly_over_the_lengths_of_histories():
    dataset = ring_dataset(users=80)
    all_of_them, few = (build_questions(dataset, Split.TEST, most) for most in (None, 10))
    lengths = [len(history) for history in all_of_them.histories]
    assert len(lengths) == 80 and len(few.answers) == 10
    assert [len(history) for history in few.histories] == lengths[::8]
    assert len(build_questions(dataset, Split.TEST, 80).histories) == 80
