"""Items that stand for the catalogue in the loss of influence."""

import copy

import numpy as np
import pytest
import torch
from torch.func import functional_call

from dealrec.config import (
    Curvature,
    InfluenceConfig,
    InfluenceParameters,
    SampleLoss,
    SurrogateConfig,
)
from dealrec.config.runtime import Runtime
from dealrec.data.samples import build_samples
from dealrec.influence.examples import Examples
from dealrec.influence.factors import make_problem
from dealrec.influence.head import state_gradients
from dealrec.influence.problem import AutogradProblem
from dealrec.influence.scoring import score_influence
from dealrec.influence.softmax import CatalogueSoftmax, inclusion_probabilities, systematic_draw
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import ring_dataset

ONE = Runtime(threads=1, device="cpu")
CPU = torch.device("cpu")
ITEMS = 60
DATASET = ring_dataset(users=60, items=ITEMS)
FREQUENCIES = np.bincount(DATASET.items, minlength=ITEMS) ** 2


@pytest.fixture(scope="module")
def surrogate():
    config = SurrogateConfig(
        hidden_size=8, heads=2, max_length=6, negatives=20, batch_tokens=64, epochs=6
    )
    return train_surrogate(DATASET, config, runtime=ONE)


def drawn(count, seed=0):
    return CatalogueSoftmax.drawn(FREQUENCIES, count, torch.float64, CPU, seed)


@pytest.mark.parametrize("count", [3, 7, 40, ITEMS - 1])
def test_chances_sum_to_the_count_and_the_most_frequent_items_are_certain(count):
    frequencies = np.array([10**6, 10**5, *range(ITEMS - 2)])
    chances = inclusion_probabilities(frequencies, count)
    assert chances.sum() == pytest.approx(count)
    assert np.all((chances > 0) & (chances <= 1))
    assert np.all(np.diff(chances[np.argsort(frequencies)]) >= 0)
    assert chances[0] == 1


def test_items_are_drawn_once_each_and_as_often_as_their_chance():
    chances = inclusion_probabilities(FREQUENCIES, 10)
    counts = np.zeros(ITEMS)
    for seed in range(4000):
        items = systematic_draw(chances, np.random.default_rng(seed))
        assert len(items) == len(set(items)) == 10
        counts[items] += 1
    deviation = np.sqrt(4000 * chances * (1 - chances))
    assert np.all(np.abs(counts - 4000 * chances) <= 4.5 * deviation + 1e-9)


def test_as_many_as_the_catalogue_or_more_is_the_catalogue():
    assert drawn(ITEMS).shared is None
    assert drawn(ITEMS + 5).columns == ITEMS


def test_the_sum_over_the_columns_estimates_the_sum_over_the_catalogue_without_bias():
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    vectors = torch.randn(ITEMS, 4, generator=generator, dtype=torch.float64)
    targets = torch.arange(5) * 7
    exact = (states @ vectors.T).exp().sum(1)
    sums = torch.stack(
        [drawn(15, seed).logits(states, vectors, targets).exp().sum(1) for seed in range(4000)]
    )
    error = sums.std(0) / np.sqrt(len(sums))
    assert torch.all((sums.mean(0) - exact).abs() < 4.5 * error)


@pytest.mark.parametrize("count", [ITEMS, 15])
@pytest.mark.parametrize("scale", [1.0, 40.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-13)])
def test_expected_vectors_are_the_vectors_times_the_probabilities(count, scale, dtype, tolerance):
    generator = torch.Generator().manual_seed(0)
    states = scale * torch.randn(300, 4, generator=generator, dtype=torch.float64)
    vectors = torch.randn(ITEMS, 4, generator=generator, dtype=torch.float64)
    targets = torch.arange(300) % ITEMS
    softmax = drawn(count)
    exact = softmax.mean_vectors(
        softmax.logits(states, vectors, targets).softmax(1), vectors, targets
    )
    single = CatalogueSoftmax.drawn(FREQUENCIES, count, dtype, CPU)
    found = single.expected_vectors(states.to(dtype), vectors.to(dtype), targets)
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("count", [ITEMS, 15])
def test_gradients_by_states_in_rounds_are_those_of_the_losses(count, monkeypatch):
    monkeypatch.setattr("dealrec.influence.head.LOGIT_ELEMENTS", 7 * ITEMS)
    monkeypatch.setattr("dealrec.influence.head.FUSED_TOKENS", 7)
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(30, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    vectors = torch.randn(ITEMS, 4, generator=generator, dtype=torch.float64)
    targets = torch.randint(ITEMS, (30,), generator=generator)
    softmax = drawn(count)
    softmax.losses(states, vectors, targets).sum().backward()
    found = state_gradients(softmax, states, vectors, targets)
    torch.testing.assert_close(found, states.grad)


def plain_losses(model, parameters, outputs, samples, softmax):
    """[n], a sample at a time: the target against the drawn items, weighed as they were drawn."""
    shared = softmax.shared.tolist()
    losses = []
    for index in range(len(samples)):
        history = torch.from_numpy(samples.history(index, model.max_length).astype(np.int64))
        state = functional_call(model, parameters, (history[None],))[0, -1]
        scores = outputs @ state
        target = int(samples.targets[index])
        terms = [scores[target].exp()]
        for item, raised in zip(shared, softmax.raised[:-1], strict=True):
            if item != target:
                terms.append((scores[item] + raised).exp())
        losses.append(torch.stack(terms).sum().log() - scores[target])
    return torch.stack(losses)


@pytest.mark.parametrize("parameters", list(InfluenceParameters))
def test_derivatives_over_drawn_items_equal_one_by_one_gradients(surrogate, parameters):
    samples = build_samples(DATASET)
    model = copy.deepcopy(surrogate.model).double().eval()
    softmax = drawn(12)
    everything = {n: v.detach().requires_grad_() for n, v in model.named_parameters()}
    outputs = everything["item_embedding.weight"][: model.n_items]
    if parameters is InfluenceParameters.ITEM_EMBEDDING:
        outputs = outputs.detach().requires_grad_()
        measured = [outputs]
    else:
        measured = [everything[name] for name in model.parameter_sets()[parameters]]
    gradients = []
    for value in plain_losses(model, everything, outputs, samples, softmax):
        parts = torch.autograd.grad(
            value,
            measured,
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        gradients.append(torch.cat([part.reshape(-1) for part in parts]))
    one_by_one = torch.stack(gradients)
    examples = Examples.of_samples(samples, ITEMS, model.max_length, SampleLoss.LAST)
    u = one_by_one.mean(0) + 0.1 * one_by_one[0]
    problem = make_problem(model, parameters, softmax)
    found, _ = problem.derivatives(examples, u, lambda n: None)
    torch.testing.assert_close(found, one_by_one @ u, rtol=1e-5, atol=1e-12)


def test_the_factors_curve_like_the_model_over_drawn_items(surrogate):
    model = copy.deepcopy(surrogate.model).double().eval()
    softmax = drawn(12)
    examples = Examples.of_samples(
        build_samples(DATASET), ITEMS, model.max_length, SampleLoss.SEQUENCE
    )
    fast = make_problem(model, InfluenceParameters.ATTENTION_OUTPUT, softmax)
    slow = AutogradProblem(model, InfluenceParameters.ATTENTION_OUTPUT, softmax)
    vector = torch.randn(slow.size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    products = [
        problem.curvature(examples, Curvature.GAUSS_NEWTON, lambda n: None)(vector)
        for problem in (fast, slow)
    ]
    torch.testing.assert_close(*products, rtol=1e-8, atol=1e-14)


def rank_correlation(first, second):
    """Spearman's, of distinct numbers."""
    return np.corrcoef(first.argsort().argsort(), second.argsort().argsort())[0, 1]


def test_more_items_bring_the_scores_nearer_to_those_of_the_whole_catalogue(surrogate):
    samples = build_samples(DATASET)

    def scores(items):
        config = InfluenceConfig(loss_items=items, dtype="float64", newton_steps=0)
        return score_influence(DATASET, samples, surrogate, config, runtime=ONE)

    exact = scores(None)
    assert exact.diagnostics["loss"] == "full_softmax"
    few, many = scores(6), scores(45)
    assert many.diagnostics["loss"] == "softmax over 45 drawn items and the target"
    agreement = [rank_correlation(part.scores, exact.scores) for part in (few, many)]
    assert agreement[0] < agreement[1]
    assert agreement[1] > 0.9
    assert np.array_equal(scores(ITEMS).scores, exact.scores)
    assert np.array_equal(scores(6).scores, few.scores)
