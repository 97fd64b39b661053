from dataclasses import replace

import numpy as np
import pytest

from dealrec.config import InfluenceConfig, RiskTarget
from dealrec.config.runtime import Runtime
from dealrec.data.samples import build_samples
from dealrec.errors import InputError
from dealrec.influence.scoring import score_influence
from tests.dealrec.surrogates.data import ring_dataset

ONE = Runtime(threads=1, device="cpu")
DATASET = ring_dataset(users=40, items=25)


def test_all_samples_as_targets_are_the_training_risk(ring_surrogate):
    samples = build_samples(DATASET)
    keys = tuple(samples.keys(DATASET).to_pylist())
    named = InfluenceConfig(target=RiskTarget.SAMPLES, target_samples=keys[::-1])
    found = score_influence(DATASET, samples, ring_surrogate, named, runtime=ONE)
    train = InfluenceConfig(target=RiskTarget.TRAIN)
    expected = score_influence(DATASET, samples, ring_surrogate, train, runtime=ONE)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-9)
    assert found.diagnostics["target_examples"] == len(samples)
    assert found.diagnostics["risk"] == "the samples of target_samples"


def test_a_sample_helps_the_risk_of_itself_most(ring_surrogate):
    """``gᵀ(H + δI)⁻¹g`` is positive, and removing what the risk is made of raises it."""
    samples = build_samples(DATASET)
    keys = samples.keys(DATASET).to_pylist()
    config = InfluenceConfig(target=RiskTarget.SAMPLES, target_samples=(keys[7], keys[7]))
    found = score_influence(DATASET, samples, ring_surrogate, config, runtime=ONE)
    assert found.scores[7] > 0
    assert found.diagnostics["target_examples"] == 1


def test_target_examples_with_answers_that_nobody_chose_in_training_are_counted(ring_surrogate):
    valid = np.flatnonzero(DATASET.splits == 1)
    items = DATASET.items.copy()
    items[np.isin(items, [3, 4]) & (DATASET.splits == 0)] = 5
    items[valid[:4]] = [3, 3, 4, 5]
    items[valid[4:]] = 5
    dataset = replace(DATASET, items=items)
    samples = build_samples(dataset)
    found = score_influence(dataset, samples, ring_surrogate, InfluenceConfig(), runtime=ONE)
    assert found.diagnostics["cold_target_examples"] == 3
    every = score_influence(
        DATASET, build_samples(DATASET), ring_surrogate, InfluenceConfig(), runtime=ONE
    )
    assert every.diagnostics["cold_target_examples"] == 0


def test_unknown_keys_are_named(ring_surrogate):
    samples = build_samples(DATASET)
    config = InfluenceConfig(target=RiskTarget.SAMPLES, target_samples=("nobody",))
    with pytest.raises(InputError) as caught:
        score_influence(DATASET, samples, ring_surrogate, config, runtime=ONE)
    assert caught.value.code == "unknown_samples"
    assert "`nobody`" in str(caught.value)


@pytest.mark.parametrize(
    "config", [{"target": "samples"}, {"target": "train", "target_samples": ["a"]}]
)
def test_target_and_target_samples_go_together(config):
    with pytest.raises(InputError) as caught:
        InfluenceConfig.parse(config)
    assert caught.value.code == "invalid_config"
