"""Influence through every surrogate: batched derivatives and curvature against plain autograd."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

from dealrec.config import Curvature, SampleLoss
from dealrec.config.surrogate import SURROGATES
from dealrec.data.samples import build_samples
from dealrec.influence.examples import Examples
from dealrec.influence.factors import make_problem
from tests.dealrec.surrogates.data import prepared, ring_dataset

DATASET = ring_dataset(users=12, items=9)
SAMPLES = build_samples(DATASET)


def made(name):
    torch.manual_seed(0)
    model = prepared(name, DATASET, hidden_size=4, max_length=5, content_size=4)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


SETS = [(name, parameters) for name in SURROGATES for parameters in made(name).parameter_sets()]


class Items(torch.nn.Module):
    """The item vectors of a model, as a function of its parameters."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self):
        return self.model.item_vectors()


def plain_losses(model, loss, names, flat):
    """[n] full-softmax losses, one sample at a time, as a function of the parameters ``names``."""
    parameters = {name: value.detach() for name, value in model.named_parameters()}
    parts = flat.split([parameters[name].numel() for name in names])
    parameters |= {n: p.view_as(parameters[n]) for n, p in zip(names, parts, strict=True)}
    losses = []
    for index in range(len(SAMPLES)):
        history = SAMPLES.history(index, model.max_length).astype(np.int64)
        following = torch.from_numpy(np.append(history[1:], SAMPLES.targets[index]))
        states = functional_call(model, parameters, (torch.from_numpy(history)[None],))[0]
        named = {f"model.{name}": value for name, value in parameters.items()}
        items = functional_call(Items(model), named, ())
        each = torch.nn.functional.cross_entropy(states @ items.T, following, reduction="none")
        losses.append(each[-1] if loss is SampleLoss.LAST else each.mean())
    return torch.stack(losses)


def at(model, names):
    return torch.cat([model.get_parameter(name).detach().reshape(-1) for name in names])


@pytest.mark.parametrize("loss", list(SampleLoss))
@pytest.mark.parametrize(("name", "parameters"), SETS)
def test_derivatives_of_a_batch_are_those_of_its_samples(name, parameters, loss):
    model = made(name)
    names = model.parameter_sets()[parameters]
    start = at(model, names)
    gradients = torch.autograd.functional.jacobian(
        lambda flat: plain_losses(model, loss, names, flat), start
    )
    examples = Examples.of_samples(SAMPLES, DATASET.n_items, model.max_length, loss)
    u = torch.randn(len(start), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    u = torch.where(gradients.abs().sum(0) > 0, u, 0.0)  # nothing moves the padding row
    problem = make_problem(model, parameters)
    found, _ = problem.derivatives(examples, u, lambda n: None)
    torch.testing.assert_close(found, gradients @ u, rtol=1e-9, atol=1e-12)
    mean = problem.gradient(examples, lambda n: None)
    torch.testing.assert_close(mean, gradients.mean(0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("curvature", list(Curvature))
@pytest.mark.parametrize("loss", list(SampleLoss))
@pytest.mark.parametrize("name", SURROGATES)
def test_curvature_is_that_of_the_mean_loss(name, curvature, loss):
    model = made(name)
    sets = model.parameter_sets()
    parameters = next(iter(sets))  # the smallest one
    names = sets[parameters]
    start = at(model, names)
    if curvature is Curvature.HESSIAN:
        dense = torch.autograd.functional.hessian(
            lambda flat: plain_losses(model, loss, names, flat).mean(), start
        )
    else:
        dense = fisher(model, loss, names, start)
    examples = Examples.of_samples(SAMPLES, DATASET.n_items, model.max_length, loss)
    product = make_problem(model, parameters).curvature(examples, curvature, lambda n: None)
    u = torch.randn(len(start), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(product(u), dense @ u, rtol=1e-8, atol=1e-12)


def fisher(model, loss, names, start):
    """The Gauss-Newton matrix of a softmax is its Fisher matrix: Σ_i p_i ∇log p_i (∇log p_i)ᵀ."""
    total = torch.zeros(len(start), len(start), dtype=torch.float64)
    examples = Examples.of_samples(SAMPLES, DATASET.n_items, model.max_length, loss)
    for batch in examples.batches(torch.float64, torch.device("cpu")):
        rows, columns = torch.nonzero(batch.weights, as_tuple=True)
        weights = batch.weights[rows, columns]

        def log_probabilities(flat, batch=batch, place=(rows, columns)):
            values = {names[0]: flat.view_as(model.get_parameter(names[0]))}
            states = functional_call(model, values, (batch.sequences,))[place]
            named = {f"model.{name}": value for name, value in values.items()}
            return (states @ functional_call(Items(model), named, ()).T).log_softmax(1)

        slopes = torch.autograd.functional.jacobian(log_probabilities, start)
        p = log_probabilities(start).exp().detach()
        total += torch.einsum("mi,mip,miq,m->pq", p, slopes, slopes, weights)
    return total / len(examples)
