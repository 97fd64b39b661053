import copy

import pytest
import torch

from dealrec.config import Curvature, InfluenceParameters, SampleLoss
from dealrec.data.samples import build_samples
from dealrec.influence.examples import Examples
from dealrec.influence.problem import AutogradProblem
from tests.dealrec.influence.reference import Reference
from tests.dealrec.surrogates.data import ring_dataset

DATASET = ring_dataset(users=9, items=7)
SAMPLES = build_samples(DATASET)
SETS = [one for one in InfluenceParameters if one is not InfluenceParameters.ITEM_EMBEDDING]


def nothing(_examples):
    pass


def made(surrogate, parameters, loss):
    model = copy.deepcopy(surrogate.model).double().eval()
    examples = Examples.of_samples(SAMPLES, DATASET.n_items, model.max_length, loss)
    return AutogradProblem(model, parameters), examples


def direction(size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("loss", list(SampleLoss))
@pytest.mark.parametrize("parameters", SETS)
def test_scores_of_batches_equal_one_by_one_gradients(tiny_surrogate, parameters, loss):
    problem, examples = made(tiny_surrogate, parameters, loss)
    gradients = Reference(tiny_surrogate, SAMPLES, parameters, loss).gradients()
    u = direction(problem.size)
    u = torch.where(gradients.abs().sum(0) > 0, u, 0.0)  # nothing moves the padding row
    found, _ = problem.derivatives(examples, u, nothing)
    torch.testing.assert_close(found, gradients @ u, rtol=1e-5, atol=1e-12)
    mean = problem.gradient(examples, nothing)
    torch.testing.assert_close(mean, gradients.mean(0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", list(SampleLoss))
@pytest.mark.parametrize("curvature", list(Curvature))
@pytest.mark.parametrize("parameters", SETS)
def test_the_product_is_that_of_the_dense_matrix(tiny_surrogate, parameters, curvature, loss):
    problem, examples = made(tiny_surrogate, parameters, loss)
    dense = Reference(tiny_surrogate, SAMPLES, parameters, loss).dense(curvature)
    product = problem.curvature(examples, curvature, nothing)
    u = direction(problem.size)
    torch.testing.assert_close(product(u), dense @ u, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("parameters", SETS)
def test_gauss_newton_is_symmetric_and_positive_semi_definite(ring_surrogate, parameters):
    dataset = ring_dataset(users=40, items=25)
    model = copy.deepcopy(ring_surrogate.model).double().eval()
    examples = Examples.of_samples(build_samples(dataset), dataset.n_items, 6, SampleLoss.LAST)
    problem = AutogradProblem(model, parameters)
    product = problem.curvature(examples, Curvature.GAUSS_NEWTON, nothing)
    a, b = direction(problem.size), direction(problem.size, seed=1)
    assert float(a @ product(a)) > 0
    assert float(a @ product(b)) == pytest.approx(float(b @ product(a)), rel=1e-9)
