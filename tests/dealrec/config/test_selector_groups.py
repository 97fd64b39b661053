from itertools import chain

from dealrec.config.selection import SelectionConfig
from dealrec.config.selector_groups import selector_groups
from dealrec.config.selectors import SELECTORS


def test_every_selector_is_in_one_group_by_what_a_person_wants_of_it():
    groups = [[entry.method.value for entry in group.entries] for group in selector_groups()]
    assert sorted(chain(*groups)) == sorted(method.value for method in SELECTORS)
    recommended, controls, research = groups
    assert recommended[:2] == ["metagradient", SelectionConfig().method.value]
    assert {"random", "stratified_random", "popular", "recent", "recent_popular"} <= set(controls)
    assert {"dealrec", "k_center", "gradient_match", "ccs", "composite"} <= set(research)
