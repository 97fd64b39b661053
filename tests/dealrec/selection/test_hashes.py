"""The hashes of coresets, which a version may change only as docs/versioning.md says."""

import pytest

from dealrec.config import SelectionConfig
from dealrec.selection.select import member_sha256, select
from tests.dealrec.selection.inputs import whole_scores

HASHES = {
    "balanced": "381edc75b68864d7",
    "dealrec": "174d45b1f11a050f",
    "dealrec_paper": "2adab0ba1cb735da",
    "random": "d40af1ffcd0c5155",
    "stratified_random": "b5d46cacd1bc1b37",
    "influence": "67d2ff00b8910b42",
    "influence_strata": "0bd1a744823bf4d2",
    "thinned_influence": "60960e0784fd13d7",
    "effort": "d7cc58dad6929fb2",
    "el2n": "46651d73c104d0f6",
    "grand": "69f654fc301fa862",
    "ccs": "e5529c743b133412",
    "moderate": "2ed6d5f88d09ffd3",
    "d2": "3bbb737ccfe828c1",
    "k_center": "2e968c8d69a5bd7c",
    "herding": "55c49ec1476eb8eb",
    "tf_dcon": "ae293751c1955873",
    "recranker": "af8f344eb6fcfc5b",
    "gradient_match": "0c1af26967852bfb",
    "goracs": "743e8e69ed77a5bf",
    "importance_resampling": "d40af1ffcd0c5155",
    "popular": "a76ee479ec6ca4be",
    "recent": "8dd197cc0df76f1c",
    "recent_popular": "83b7b39b20657693",
    "window_popular": "24f71321c1ea0cf7",
    "round_robin": "665dc4d92ee7baa7",
    "metagradient": "70a96f2dc8b62de6",
    "explained": "7d8b374391ef6dfb",
    "ifd": "8e984fe482ec086a",
    "composite": "c0d9b5dd44db345c",
}
"""The first 16 digits, for 20 of 60 samples that are drawn."""


@pytest.mark.parametrize("method", HASHES)
def test_a_selector_takes_the_samples_that_it_always_took(method):
    scores = whole_scores(60)
    taken = select(
        scores, 20, SelectionConfig(method=method, window=0.8, training_epochs=1)
    ).indices
    assert member_sha256(scores.keys.take(taken).to_pylist()).startswith(HASHES[method])
