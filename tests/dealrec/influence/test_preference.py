"""The preference risk and its gradient, against the whole matrix of histories and titles in autograd."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.func import grad

from dealrec.config import InfluenceConfig, InfluenceParameters, SampleLoss
from dealrec.config.runtime import Runtime
from dealrec.data.samples import build_samples
from dealrec.errors import InputError
from dealrec.influence.examples import Examples
from dealrec.influence.factors import make_problem
from dealrec.influence.preference import CANDIDATES, draw_candidates, preference_gradient
from dealrec.influence.problem import no_tick
from dealrec.influence.scoring import score_influence
from tests.dealrec.influence.reference import OUTPUT, Reference
from tests.dealrec.surrogates.data import ring_dataset

ONE = Runtime(threads=1, device="cpu")
DATASET = ring_dataset(users=40, items=25)


def prepared(surrogate, parameters):
    model = copy.deepcopy(surrogate.model).double().eval()
    samples = build_samples(DATASET)
    examples = Examples.of_samples(samples, DATASET.n_items, model.max_length, SampleLoss.LAST)
    return samples, examples, make_problem(model, parameters)


def risk(reference, flat, candidates, temperature):
    """From ``log p(t | u)`` of every history and item, less the mean over histories."""
    logits = torch.stack([reference._logits(flat, s)[-1] for s in range(len(candidates))])
    likely = logits.log_softmax(1)
    adjusted = temperature * (likely - likely.mean(0))
    asked = adjusted.gather(1, candidates.clamp(min=0)).masked_fill(candidates < 0, -torch.inf)
    return (asked.logsumexp(1) - asked[:, 0]).mean()


@pytest.mark.parametrize("parameters", list(InfluenceParameters))
def test_risk_and_gradient_are_those_of_the_whole_matrix(ring_surrogate, parameters):
    samples, examples, problem = prepared(ring_surrogate, parameters)
    found = preference_gradient(problem, examples, no_tick)
    reference = Reference(ring_surrogate, samples, parameters)
    candidates = torch.from_numpy(draw_candidates(examples, CANDIDATES, 0))
    of = lambda flat: risk(reference, flat, candidates, found.temperature)  # noqa: E731
    assert found.risk == pytest.approx(float(of(reference.at)), rel=1e-9)
    np.testing.assert_allclose(found.vector, grad(of)(reference.at), rtol=1e-7, atol=1e-10)
    for other in (0.9, 1.1):  # no other temperature has a lower risk
        worse = risk(reference, reference.at, candidates, other * found.temperature)
        assert float(worse) >= found.risk - 1e-9


def test_a_trained_surrogate_knows_more_than_chance_and_one_without_histories_does_not(
    ring_surrogate,
):
    _, examples, problem = prepared(ring_surrogate, InfluenceParameters.ITEM_EMBEDDING)
    assert preference_gradient(problem, examples, no_tick).risk < 0.8 * math.log(10)
    states, items = problem.outputs(examples, no_tick)
    problem.outputs = lambda *_: (states[:1].expand_as(states), items)
    blind = preference_gradient(problem, examples, no_tick)
    assert blind.risk == pytest.approx(blind.chance)
    assert float(blind.vector.abs().max()) < 1e-12


def test_candidates_are_others_targets_that_the_user_has_not_had(ring_surrogate):
    _, examples, _ = prepared(ring_surrogate, InfluenceParameters.ITEM_EMBEDDING)
    candidates = draw_candidates(examples, 8, seed=0)
    targets = examples.items[examples.ends]
    assert candidates[:, 0].tolist() == targets.tolist()
    assert (candidates[:, 1:] >= 0).sum() > 3 * len(examples)
    for row, (first, last) in enumerate(zip(examples.starts, examples.ends, strict=True)):
        drawn = [item for item in candidates[row, 1:] if item >= 0]
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= set(targets.tolist()) - set(examples.items[first : last + 1].tolist())
    assert not np.array_equal(candidates, draw_candidates(examples, 8, seed=1))


def test_examples_with_one_target_have_no_preference(ring_surrogate):
    _, examples, problem = prepared(ring_surrogate, InfluenceParameters.ITEM_EMBEDDING)
    same = examples.take(
        np.flatnonzero(examples.items[examples.ends] == examples.items[examples.ends[0]])
    )
    with pytest.raises(InputError) as caught:
        preference_gradient(problem, same, no_tick)
    assert caught.value.code == "no_candidates"


def test_influence_on_the_preference_of_the_newest_samples(ring_surrogate):
    """``gᵀ(H + δI)⁻¹v`` with ``v`` of the newest tenth, in closed form."""
    times = np.arange(DATASET.n_interactions, dtype=np.int64)
    dataset = dataclasses.replace(DATASET, times=times)
    samples = build_samples(dataset)
    config = InfluenceConfig(
        target="recent",
        risk="preference",
        recent=0.5,
        dtype="float64",
        newton_steps=0,
    )
    found = score_influence(dataset, samples, ring_surrogate, config, runtime=ONE)
    _, examples, problem = prepared(ring_surrogate, config.parameters)
    newest = np.arange(len(samples))[-math.ceil(len(samples) / 2) :]
    v = preference_gradient(problem, examples.take(newest), no_tick).vector
    reference = Reference(ring_surrogate, samples, config.parameters)
    assert reference.names == (OUTPUT,)
    gradients, dense = reference.gradients(), reference.dense(config.curvature)
    damped = dense + found.diagnostics["damping"] * torch.eye(len(dense), dtype=torch.float64)
    expected = (gradients @ torch.linalg.solve(damped, v) / len(samples)).numpy()
    np.testing.assert_allclose(
        found.scores, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )
    assert found.diagnostics["target_examples"] == len(newest)
    assert found.diagnostics["measured"] == "preference"
    assert 0 < found.diagnostics["preference"]["risk"] < found.diagnostics["preference"]["chance"]


def test_the_newest_samples_of_data_without_times_are_refused(ring_surrogate):
    config = InfluenceConfig(target="recent")
    with pytest.raises(InputError) as caught:
        score_influence(DATASET, build_samples(DATASET), ring_surrogate, config, runtime=ONE)
    assert caught.value.code == "no_timestamps"
