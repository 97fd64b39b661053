"""The hashes of coresets, which a version may change only as docs/versioning.md says."""

import pytest

from dealrec.config import SelectionConfig
from dealrec.selection.select import member_sha256, select
from tests.dealrec.selection.inputs import whole_scores

HASHES = {
    "balanced": "33aa8754253e0e41",
    "dealrec": "2aafbe43e45226e9",
    "dealrec_paper": "622d69de26685a7b",
    "random": "836dc8e2d0d2b4f0",
    "stratified_random": "bc7410ac6c95a17e",
    "influence": "67d2ff00b8910b42",
    "influence_strata": "5087015bf29c8141",
    "thinned_influence": "60960e0784fd13d7",
    "effort": "d7cc58dad6929fb2",
    "el2n": "46651d73c104d0f6",
    "grand": "69f654fc301fa862",
    "ccs": "ca572db1a4d23609",
    "moderate": "9729d761490b3f59",
    "d2": "3bbb737ccfe828c1",
    "k_center": "c04f2618de2310a2",
    "herding": "55c49ec1476eb8eb",
    "tf_dcon": "ae293751c1955873",
    "recranker": "0b6caf151cc3268e",
    "gradient_match": "0c1af26967852bfb",
    "goracs": "743e8e69ed77a5bf",
    "importance_resampling": "d7d2e9986756c8cc",
}
"""The first 16 digits, for 20 of 60 samples that are drawn."""


@pytest.mark.parametrize("method", HASHES)
def test_a_selector_takes_the_samples_that_it_always_took(method):
    scores = whole_scores(60)
    taken = select(scores, 20, SelectionConfig(method=method)).indices
    assert member_sha256(scores.keys.take(taken).to_pylist()).startswith(HASHES[method])
