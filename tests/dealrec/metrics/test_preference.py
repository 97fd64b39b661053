import numpy as np
import pytest

from dealrec.metrics.preference import METRICS, draw_candidates, preference_metrics


def _drawn(users=200, items=80, count=16, seed=0):
    draw = np.random.default_rng(7)
    weights = 1 / np.arange(1, items + 1)
    answers = draw.choice(items, users, p=weights / weights.sum()).astype(np.int32)
    had = [np.append(draw.choice(items, 12), answer).astype(np.int32) for answer in answers]
    titles = (np.arange(items) // 2).astype(np.int32)  # every title is that of two items
    found = draw_candidates(answers, had, titles, count, seed)
    assert found.familiar == 0
    return answers, had, titles, found.items


def test_candidates_are_answers_of_others_with_titles_that_the_user_has_not_had():
    answers, had, titles, found = _drawn()
    assert found.shape == (200, 16)
    np.testing.assert_array_equal(found[:, 0], answers)
    assert set(found.ravel().tolist()) <= set(answers.tolist())
    for row, mine in zip(titles[found], had, strict=True):
        assert len(set(row.tolist())) == 16
        assert not set(row[1:].tolist()) & set(titles[mine].tolist())
    np.testing.assert_array_equal(found, _drawn()[-1])
    assert (found != _drawn(seed=1)[-1]).any()


def test_every_answer_is_a_candidate_equally_often_where_nothing_is_in_the_way():
    answers = np.arange(60, dtype=np.int32)
    had = [answers[user : user + 1] for user in answers]
    found = draw_candidates(answers, had, answers, 16, 3).items
    np.testing.assert_array_equal(np.bincount(found[:, 1:].ravel(), minlength=60), 15)


def test_where_titles_are_few_a_user_is_set_what_was_had_and_that_is_counted():
    answers = np.array([0, 1, 2, 3, 3], dtype=np.int32)
    had = [np.array([0, 1], np.int32), *(answers[user : user + 1] for user in (1, 2, 3, 4))]
    found = draw_candidates(answers, had, answers, 3, 0)
    assert set(found.items[0].tolist()) == {0, 2, 3}
    assert found.familiar == 0
    found = draw_candidates(answers, had, answers, 16, 0)
    assert found.items.shape == (5, 4)  # there are four titles
    assert found.items[0].tolist()[-1] == 1  # the last resort
    assert found.familiar == 1


def _losses(taste, users=600, noise=1.0, seed=0):
    """Titles differ by tens of nats and are popular by a power law; ``taste`` nats favour the own one."""
    _, _, titles, found = _drawn(users)
    draw = np.random.default_rng(seed)
    format_and_popularity = draw.normal(40, 15, int(titles.max()) + 1)
    losses = format_and_popularity[titles[found]] + draw.normal(0, noise, found.shape)
    losses[:, 0] -= taste
    return losses + draw.normal(0, 3, (users, 1)), titles[found]


def test_a_model_that_knows_only_format_and_popularity_has_no_preference():
    found = preference_metrics(*_losses(taste=0))
    assert tuple(found) == METRICS
    assert abs(found["preference"].mean()) < 0.01
    assert found["auc_adj"].mean() == pytest.approx(0.5, abs=0.03)
    assert abs(found["gain"].mean()) < 0.3
    exact = preference_metrics(*_losses(taste=0, noise=0.0))
    assert abs(exact["preference"].mean()) < 0.01


def test_what_is_read_from_histories_is_seen_through_the_titles_own_likelihood():
    found = preference_metrics(*_losses(taste=2))
    assert found["preference"].mean() > 0.5
    assert found["auc_adj"].mean() > 0.85
    assert found["hit@1"].mean() > 0.3
    assert found["auc"].mean() < 0.6  # the titles' own likelihoods hide it
    assert found["gain"].mean() == pytest.approx(2, abs=0.4)
    knows_all = preference_metrics(*_losses(taste=200))
    assert knows_all["preference"].mean() == pytest.approx(np.log(16), abs=0.05)
    assert knows_all["hit@1"].mean() == 1


def test_preference_neither_grows_with_the_scale_of_the_losses_nor_with_the_titles():
    losses, titles = _losses(taste=1.5)
    known = preference_metrics(losses, titles)["preference"]
    changed = 3 * losses + np.random.default_rng(1).normal(0, 50, titles.max() + 1)[titles]
    np.testing.assert_allclose(preference_metrics(changed, titles)["preference"], known, atol=1e-5)


def test_the_loss_of_a_title_is_split_into_what_others_histories_give_and_the_gain():
    losses = np.array([[10.0, 6.0], [5.0, 14.0], [9.0, 8.0]])
    titles = np.array([[0, 1], [1, 0], [2, 1]])
    found = preference_metrics(losses, titles)
    np.testing.assert_allclose(found["nll_others"], [14, 7, 9])
    np.testing.assert_allclose(found["gain"], [4, 2, 0])  # nobody else was asked about title 2
    np.testing.assert_allclose(found["nll_others"] - found["gain"], losses[:, 0])
    np.testing.assert_allclose(found["auc"], [0, 1, 0])
    np.testing.assert_allclose(found["auc_adj"], [1, 1, 1])


def test_scores_that_are_all_equal_are_a_guess():
    found = preference_metrics(np.full((10, 4), 7.0), np.tile(np.arange(4), (10, 1)))
    np.testing.assert_array_equal(found["preference"], 0)
    np.testing.assert_array_equal(found["auc_adj"], 0.5)
    np.testing.assert_array_equal(found["hit@1"], 0.25)


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(ValueError, match="finite"):
        preference_metrics(np.array([[1.0, np.nan], [1.0, 2.0]]), np.array([[0, 1], [1, 0]]))
