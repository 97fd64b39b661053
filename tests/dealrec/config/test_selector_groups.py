from itertools import chain

from dealrec.config.selector_groups import selector_groups
from dealrec.config.selectors import SELECTORS


def test_every_selector_is_in_one_group_with_what_it_looks_at():
    groups = [[entry.method.value for entry in group.entries] for group in selector_groups()]
    assert sorted(chain(*groups)) == sorted(method.value for method in SELECTORS)
    controls, by_influence, by_vectors, by_difficulty = groups
    assert {"random", "stratified_random", "popular", "recent_popular"} <= set(controls)
    assert {"influence_strata", "dealrec"} <= set(by_influence)
    assert {"k_center", "round_robin", "gradient_match"} <= set(by_vectors)
    assert {"el2n", "grand", "ccs", "ifd", "explained", "effort"} == set(by_difficulty)
