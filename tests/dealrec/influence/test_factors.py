import copy

import pytest
import torch

from dealrec.config import Curvature, InfluenceParameters, SampleLoss
from dealrec.data.samples import build_samples
from dealrec.influence.examples import Examples
from dealrec.influence.factors import FactorProblem, make_problem
from dealrec.influence.problem import AutogradProblem
from tests.dealrec.influence.reference import Reference
from tests.dealrec.surrogates.data import ring_dataset

DATASET = ring_dataset(users=40, items=25)
SAMPLES = build_samples(DATASET)
ATTENTION = InfluenceParameters.ATTENTION_OUTPUT


def nothing(_examples):
    pass


@pytest.fixture(params=list(SampleLoss))
def examples(request):
    return Examples.of_samples(SAMPLES, DATASET.n_items, 6, request.param)


@pytest.fixture
def problem(ring_surrogate):
    return make_problem(copy.deepcopy(ring_surrogate.model).double().eval(), ATTENTION)


def test_the_attention_output_has_factors_and_other_sets_do_not(ring_surrogate, problem):
    assert isinstance(problem, FactorProblem)
    assert isinstance(make_problem(ring_surrogate.model, InfluenceParameters.ALL), AutogradProblem)


def test_factors_give_the_gradients_of_one_sample_at_a_time(ring_surrogate, problem, examples):
    gradients = Reference(ring_surrogate, SAMPLES, ATTENTION, examples.loss).gradients()
    u = torch.randn(64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found, mean = problem.derivatives(examples, u, nothing)
    torch.testing.assert_close(found, gradients @ u, rtol=1e-5, atol=1e-12)
    torch.testing.assert_close(mean, gradients.mean(0), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(problem.gradient(examples, nothing), mean, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("curvature", list(Curvature))
def test_the_curvature_is_the_dense_one(ring_surrogate, problem, examples, curvature):
    dense = Reference(ring_surrogate, SAMPLES, ATTENTION, examples.loss).dense(curvature)
    operator = problem.curvature(examples, curvature, nothing)
    torch.testing.assert_close(operator.matrix(), dense, rtol=1e-7, atol=1e-12)
    u = torch.randn(64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(operator(u), dense @ u, rtol=1e-7, atol=1e-12)
    if curvature is Curvature.GAUSS_NEWTON:
        assert torch.linalg.eigvalsh(operator.matrix())[0] > -1e-12
