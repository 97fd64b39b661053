"""Which samples are alike, and where they are drawn."""

import numpy as np

from dealrec.coresets import landscape
from dealrec.coresets.landscape import as_many_at_random, inside, item_vectors, nearest, on_a_plane
from dealrec.data.samples import build_samples
from tests.dealrec.data.files import ingest_bytes

TWO_TASTES = "user_id,item_id,position,split\n" + "".join(
    f"u{user},{'ab'[user % 2]}{(user + place) % 5},{place},train\n"
    for user in range(12)
    for place in range(4)
)


def test_samples_of_one_taste_are_nearest_and_lie_together(tmp_path):
    dataset = ingest_bytes(tmp_path, TWO_TASTES.encode()).dataset
    samples = build_samples(dataset)
    vectors = item_vectors(samples, dataset.n_items)
    assert vectors is not None
    taste = np.array([int(user.as_py()[1:]) % 2 for user in dataset.user_ids])[samples.users]
    found, cosines = nearest(vectors, 0, 5)
    assert 0 not in found and (taste[found] == taste[0]).all()
    assert (np.diff(cosines) <= 0).all() and cosines[0] <= 1 + 1e-6
    places, explained = on_a_plane(vectors)
    assert places.min() >= 0 and places.max() <= 1 and explained[0] >= explained[1] > 0
    first, second = (places[taste == kind, 0] for kind in (0, 1))
    assert first.max() < second.min() or second.max() < first.min()


def test_the_neighbours_are_those_with_the_highest_cosines():
    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit[7]
    found, shown = nearest(vectors, 7, 3)
    assert found.tolist() == [one for one in np.argsort(-cosines) if one != 7][:3]
    assert np.allclose(shown, cosines[found])


def test_one_sample_alone_has_a_place_and_no_neighbour():
    places, explained = on_a_plane(np.ones((1, 4), np.float32))
    assert places.tolist() == [[0.5, 0.5]] and explained == (0.0, 0.0)
    assert len(nearest(np.ones((1, 4), np.float32), 0, 5)[0]) == 0


def test_as_many_random_samples_are_drawn_as_are_selected():
    selected = np.arange(50) < 9
    assert len(set(as_many_at_random(selected).tolist())) == 9


def test_wide_vectors_are_copied_in_small_pieces_with_the_same_result(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    whole = nearest(vectors, 3, 10), on_a_plane(vectors)
    monkeypatch.setattr(landscape, "_NUMBERS", 20)  # three rows at a time
    assert [len(piece) for piece in landscape._chunks(vectors)][:2] == [3, 3]
    pieces = nearest(vectors, 3, 10), on_a_plane(vectors)
    np.testing.assert_array_equal(whole[0][0], pieces[0][0])
    np.testing.assert_allclose(whole[1][0], pieces[1][0], rtol=1e-5)


def test_a_place_is_inside_an_outline_that_bends_inwards_or_crosses_itself():
    arrow = np.array([(0, 0), (1, 0.5), (0, 1), (0.4, 0.5)], np.float32)
    places = np.array([(0.5, 0.5), (0.2, 0.5), (0.2, 0.8), (0.9, 0.9)], np.float32)
    assert inside(places, arrow).tolist() == [True, False, True, False]
    bow = np.array([(0, 0), (1, 1), (1, 0), (0, 1)], np.float32)
    places = np.array([(0.2, 0.5), (0.8, 0.5), (0.5, 0.2), (0.5, 0.9)], np.float32)
    assert inside(places, bow).tolist() == [True, True, False, False]
