from itertools import pairwise

from dealrec.progress import MOST_POINTS, Curves


def test_a_long_curve_is_thinned_evenly_and_keeps_its_last_point():
    curves = Curves()
    for step in range(1, 3 * MOST_POINTS + 2):
        curves.add("loss", step, step / 2)
    points = curves.points()["loss"]
    assert MOST_POINTS / 2 <= len(points) <= MOST_POINTS
    assert points[-1] == (3 * MOST_POINTS + 1, (3 * MOST_POINTS + 1) / 2)
    steps = [step for step, _ in points[:-1]]
    assert {after - before for before, after in pairwise(steps)} == {4}


def test_points_that_are_reported_again_replace_those_from_there_on():
    curves, straight = Curves(), Curves()
    for step in (1, 2, 3, 2, 3, 4):
        curves.add("loss", step, 1.0)
    for step in (1, 2, 3, 4):
        straight.add("loss", step, 1.0)
    assert curves.points() == straight.points() == {"loss": [(s, 1.0) for s in (1, 2, 3, 4)]}
