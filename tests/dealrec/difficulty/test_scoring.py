"""EL2N and GraNd against autograd, one sample at a time."""

import copy

import numpy as np
import pytest
import torch

from dealrec.config import SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.data.samples import build_samples
from dealrec.difficulty.scores import DifficultyScores
from dealrec.difficulty.scoring import score_difficulty
from dealrec.surrogates.ensemble import Ensemble, train_ensemble
from tests.dealrec.surrogates.data import ring_dataset

RUNTIME = Runtime(threads=1, device="cpu")


def trained(model, members=1):
    dataset = ring_dataset(users=25, items=12)
    config = SurrogateConfig(
        model=model, hidden_size=8, heads=2, epochs=3, negatives=10, max_length=5, ensemble=members
    )
    return dataset, train_ensemble(dataset, config, runtime=RUNTIME)


def one_by_one(dataset, model, name):
    """[n] EL2N, norms of the gradient by the parameter called ``name``, and log-probabilities."""
    model = copy.deepcopy(model).eval()
    samples = build_samples(dataset)
    found = []
    for sample in range(len(samples)):
        history = torch.from_numpy(samples.history(sample, model.max_length).astype(np.int64))
        logits = (model(history[None])[0, -1] @ model.item_vectors().T)[None]
        target = torch.tensor([int(samples.targets[sample])])
        loss = torch.nn.functional.cross_entropy(logits, target)
        (gradient,) = torch.autograd.grad(loss, model.get_parameter(name))
        error = logits.softmax(1)[0] - torch.nn.functional.one_hot(target, model.n_items)[0]
        found.append((error.norm().item(), gradient.norm().item(), -loss.item()))
    return np.array(found).T


@pytest.mark.parametrize("model", ["sasrec", "gru4rec", "bert4rec", "dcrec"])
def test_they_are_the_norms_of_error_and_gradient(model):
    dataset, ensemble = trained(model)
    scores = score_difficulty(dataset, build_samples(dataset), ensemble, runtime=RUNTIME)
    own = ensemble.members[0].model
    el2n, grand, likelihood = one_by_one(dataset, own, own.attention_output_name())
    np.testing.assert_allclose(scores.el2n, el2n, rtol=1e-4)
    np.testing.assert_allclose(scores.likelihood, likelihood, rtol=1e-4)
    np.testing.assert_allclose(scores.grand, grand, rtol=2e-4, atol=1e-6)
    assert scores.diagnostics["grand_parameters"] == "attention_output"


def test_a_surrogate_without_a_tail_is_measured_by_its_item_vectors():
    dataset, ensemble = trained("tests.dealrec.surrogates.own_model:LastItem")
    scores = score_difficulty(dataset, build_samples(dataset), ensemble, runtime=RUNTIME)
    el2n, grand, likelihood = one_by_one(dataset, ensemble.members[0].model, "target.weight")
    np.testing.assert_allclose(scores.el2n, el2n, rtol=1e-4)
    np.testing.assert_allclose(scores.likelihood, likelihood, rtol=1e-4)
    np.testing.assert_allclose(scores.grand, grand, rtol=1e-4)
    assert scores.diagnostics["grand_parameters"] == "item_embedding"


def test_an_ensembles_are_the_means_of_its_members(tmp_path):
    dataset, ensemble = trained("sasrec", members=2)
    samples = build_samples(dataset)
    both = score_difficulty(dataset, samples, ensemble, runtime=RUNTIME)
    each = [
        score_difficulty(dataset, samples, Ensemble((member,)), runtime=RUNTIME)
        for member in ensemble.members
    ]
    np.testing.assert_allclose(both.el2n, (each[0].el2n + each[1].el2n) / 2)
    np.testing.assert_allclose(both.grand, (each[0].grand + each[1].grand) / 2)
    both.save(tmp_path)
    again = DifficultyScores.load(tmp_path)
    assert np.array_equal(again.grand, both.grand)
    assert np.array_equal(again.likelihood, both.likelihood)
    assert again.diagnostics == both.diagnostics
