import copy

import pytest
import torch

from dealrec.config import Curvature, InfluenceParameters, SampleLoss
from dealrec.data.samples import build_samples
from dealrec.influence import items
from dealrec.influence.examples import Examples
from dealrec.influence.factors import make_problem
from dealrec.influence.items import ItemProblem
from tests.dealrec.influence.reference import Reference
from tests.dealrec.surrogates.data import ring_dataset

DATASET = ring_dataset(users=9, items=7)
SAMPLES = build_samples(DATASET)
ITEMS = InfluenceParameters.ITEM_EMBEDDING


def nothing(_examples):
    pass


@pytest.fixture(params=list(SampleLoss))
def examples(request, tiny_surrogate):
    length = tiny_surrogate.model.max_length
    return Examples.of_samples(SAMPLES, DATASET.n_items, length, request.param)


@pytest.fixture
def problem(tiny_surrogate):
    return make_problem(copy.deepcopy(tiny_surrogate.model).double().eval(), ITEMS)


def direction(size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_item_vectors_have_a_problem_of_their_own(problem):
    assert isinstance(problem, ItemProblem)


def test_scores_equal_the_gradients_of_one_sample_at_a_time(tiny_surrogate, problem, examples):
    gradients = Reference(tiny_surrogate, SAMPLES, ITEMS, examples.loss).gradients()
    u = direction(problem.size)
    found, mean = problem.derivatives(examples, u, nothing)
    torch.testing.assert_close(found, gradients @ u, rtol=1e-5, atol=1e-12)
    torch.testing.assert_close(mean, gradients.mean(0), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(problem.gradient(examples, nothing), mean, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("curvature", list(Curvature))
def test_hessian_and_gauss_newton_are_the_same_dense_matrix(
    tiny_surrogate, problem, examples, curvature, held, monkeypatch
):
    if not held:  # probabilities are then computed again in every product
        monkeypatch.setattr(items, "HELD", 0)
    dense = Reference(tiny_surrogate, SAMPLES, ITEMS, examples.loss).dense(curvature)
    product = problem.curvature(examples, curvature, nothing)
    u = direction(problem.size)
    torch.testing.assert_close(product(u), dense @ u, rtol=1e-7, atol=1e-10)
