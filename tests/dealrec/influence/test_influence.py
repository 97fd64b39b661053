import copy

import numpy as np
import pytest
import torch
from torch.func import functional_call, hessian

from dealrec.config import (
    Curvature,
    InfluenceConfig,
    InfluenceParameters,
    RiskTarget,
    SampleLoss,
    Sampling,
    Solver,
    Split,
    SurrogateConfig,
)
from dealrec.config.runtime import Runtime
from dealrec.data.samples import build_samples
from dealrec.errors import InputError
from dealrec.influence.examples import Examples
from dealrec.influence.factors import make_problem
from dealrec.influence.problem import AutogradProblem
from dealrec.influence.scoring import InfluenceScores, score_influence
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import ring_dataset

ONE = Runtime(threads=1, device="cpu")
DATASET = ring_dataset(users=40, items=25)
SETS = list(InfluenceParameters)


@pytest.fixture(scope="module")
def surrogate():
    config = SurrogateConfig(
        hidden_size=8,
        layers=2,
        heads=2,
        max_length=6,
        negatives=20,
        batch_tokens=64,
        epochs=8,
        learning_rate=0.01,
    )
    return train_surrogate(DATASET, config, runtime=ONE)


def plain_losses(model, parameters, samples, loss):
    """[n], one sample at a time, from the definition."""
    losses = []
    for index in range(len(samples)):
        history = samples.history(index, model.max_length).astype(np.int64)
        following = np.append(history[1:], samples.targets[index])
        states = functional_call(model, parameters, (torch.from_numpy(history)[None],))[0]
        items = parameters["item_embedding.weight"][: model.n_items]
        each = torch.nn.functional.cross_entropy(
            states @ items.T, torch.from_numpy(following), reduction="none"
        )
        losses.append(each[-1] if loss is SampleLoss.LAST else each.mean())
    return torch.stack(losses)


def closed_form(surrogate, samples, config):
    """Dense curvature by autograd, direct solve, one gradient a sample; all in float64."""
    model = copy.deepcopy(surrogate.model).double().eval()
    everything = {name: value.detach() for name, value in model.named_parameters()}
    names = model.parameter_sets()[config.parameters]
    shapes = [everything[name].shape for name in names]
    start = torch.cat([everything[name].reshape(-1) for name in names])

    def losses(flat):
        parts = flat.split([shape.numel() for shape in shapes])
        own = {n: p.view(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        return plain_losses(model, {**everything, **own}, samples, config.sample_loss)

    gradients = torch.autograd.functional.jacobian(losses, start)
    dense = hessian(lambda flat: losses(flat).mean())(start)
    return gradients, dense


@pytest.mark.parametrize("loss", list(SampleLoss))
@pytest.mark.parametrize("parameters", SETS)
def test_batched_derivatives_equal_one_by_one_gradients(surrogate, parameters, loss):
    samples = build_samples(DATASET)
    config = InfluenceConfig(parameters=parameters, sample_loss=loss)
    model = copy.deepcopy(surrogate.model).double().eval()
    everything = {n: v.detach().requires_grad_() for n, v in model.named_parameters()}
    names = model.parameter_sets()[parameters]
    gradients = []
    for value in plain_losses(model, everything, samples, loss):
        parts = torch.autograd.grad(
            value,
            [everything[n] for n in names],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        gradients.append(torch.cat([part.reshape(-1) for part in parts]))
    one_by_one = torch.stack(gradients)
    examples = Examples.of_samples(samples, DATASET.n_items, model.max_length, loss)
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(one_by_one.shape[1], generator=generator, dtype=torch.float64)
    if "item_embedding.weight" in names:  # nothing moves the padding row
        u = torch.where(one_by_one.abs().sum(0) > 0, u, torch.zeros_like(u))
    problem = make_problem(model, config.parameters)
    found, _ = problem.derivatives(examples, u, lambda n: None)
    expected = one_by_one @ u
    assert (found - expected).norm() / expected.norm() < 1e-5
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-12)
    torch.testing.assert_close(
        problem.gradient(examples, lambda n: None), one_by_one.mean(0), rtol=1e-5, atol=1e-12
    )


@pytest.mark.parametrize("solver", list(Solver))
@pytest.mark.parametrize("curvature", list(Curvature))
def test_influence_equals_the_closed_form(surrogate, curvature, solver):
    samples = build_samples(DATASET)
    config = InfluenceConfig(
        dtype="float64",
        solver=solver,
        curvature=curvature,
        target=RiskTarget.TRAIN,
        damping=0.5,
        tolerance=1e-10,
        max_iterations=500,
    )
    gradients, dense = closed_form(surrogate, samples, config)
    result = score_influence(DATASET, samples, surrogate, config, runtime=ONE)
    if curvature is Curvature.GAUSS_NEWTON:
        dense = dense_gauss_newton(surrogate, samples)
    values = torch.linalg.eigvalsh(dense)
    assert result.diagnostics["largest_eigenvalue"] == pytest.approx(float(values[-1]), rel=1e-4)
    damped = dense + result.diagnostics["damping"] * torch.eye(len(dense), dtype=torch.float64)
    u = torch.linalg.solve(damped, gradients.mean(0))
    expected = (gradients @ u / len(samples)).numpy()
    assert result.diagnostics["converged"]
    error = np.linalg.norm(result.scores - expected) / np.linalg.norm(expected)
    assert error < 1e-7


def dense_gauss_newton(surrogate, samples):
    """``mean of Jᵀ(diag(p) − ppᵀ)J`` with the Jacobian of the logits written out."""
    model = copy.deepcopy(surrogate.model).double().eval()
    name = model.attention_output_name()
    everything = {n: value.detach() for n, value in model.named_parameters()}
    total = 0.0
    for index in range(len(samples)):
        history = torch.from_numpy(samples.history(index, model.max_length).astype(np.int64))

        def logits(matrix, history=history):
            own = {**everything, name: matrix}
            return functional_call(model, own, (history[None],))[0, -1] @ model.item_vectors().T

        jacobian = torch.autograd.functional.jacobian(logits, everything[name]).flatten(1)
        p = logits(everything[name]).softmax(0).detach()
        total = total + jacobian.T @ (torch.diag(p) - p[:, None] * p) @ jacobian
    return total / len(samples)


@pytest.mark.parametrize("curvature", list(Curvature))
def test_the_dense_matrix_is_made_of_the_same_numbers_as_the_product(surrogate, curvature):
    samples = build_samples(DATASET)
    model = copy.deepcopy(surrogate.model).double().eval()
    examples = Examples.of_samples(samples, DATASET.n_items, 6, SampleLoss.SEQUENCE)
    problem = make_problem(model, InfluenceParameters.ATTENTION_OUTPUT)
    operator = problem.curvature(examples, curvature, lambda n: None)
    vector = torch.randn(64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(operator.matrix() @ vector, operator(vector))


@pytest.mark.parametrize("parameters", SETS)
def test_gauss_newton_is_symmetric_and_positive_semi_definite(surrogate, parameters):
    samples = build_samples(DATASET)
    model = copy.deepcopy(surrogate.model).double().eval()
    examples = Examples.of_samples(samples, DATASET.n_items, 6, SampleLoss.LAST)
    problem = make_problem(model, parameters)
    product = problem.curvature(examples, Curvature.GAUSS_NEWTON, lambda n: None)
    size = AutogradProblem(model, parameters).size
    a, b = torch.randn(2, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert float(a @ product(a)) > 0
    assert float(a @ product(b)) == pytest.approx(float(b @ product(a)), rel=1e-9)
    if parameters is InfluenceParameters.ATTENTION_OUTPUT:
        assert torch.linalg.eigvalsh(dense_gauss_newton(surrogate, samples))[0] > -1e-12
        general = AutogradProblem(model, parameters)
        same = general.curvature(examples, Curvature.GAUSS_NEWTON, lambda n: None)
        torch.testing.assert_close(product(a), same(a), rtol=1e-9, atol=1e-14)


def test_every_sample_has_a_score_also_a_user_with_two_training_items(surrogate):
    samples = build_samples(DATASET)
    result = score_influence(DATASET, samples, surrogate, InfluenceConfig(), runtime=ONE)
    two_items = samples.history_lengths == 1
    assert result.scores.dtype == np.float64
    assert len(result.scores) == len(samples)
    assert two_items.any()
    assert (result.scores[two_items] != 0).all()
    assert np.isfinite(result.scores).all()


def test_scores_are_the_same_twice_and_say_what_they_are(surrogate, tmp_path):
    samples = build_samples(DATASET, Sampling.PER_INTERACTION)
    config = InfluenceConfig(curvature_tokens=50)
    first, second = (
        score_influence(DATASET, samples, surrogate, config, runtime=ONE) for _ in range(2)
    )
    assert np.array_equal(first.scores, second.scores)
    said = first.diagnostics
    assert said["target"] == "validation"
    assert said["trained_on"] == "sampled_softmax"
    assert said["loss"] == "full_softmax"
    assert said["converged"] is True
    assert said["residual"] <= config.tolerance
    assert said["damping"] == pytest.approx(0.01 * said["largest_eigenvalue"])
    assert said["curvature_examples"] == 50
    assert -1 <= said["v_train_validation_cosine"] <= 1
    first.save(tmp_path)
    loaded = InfluenceScores.load(tmp_path)
    assert np.array_equal(loaded.scores, first.scores)
    assert loaded.diagnostics == said


def test_the_validation_risk_asks_for_each_users_first_validation_item_after_training():
    examples = Examples.of_validation(DATASET, 6, SampleLoss.LAST)
    offsets, items = DATASET.subsequences((0,))
    valid_offsets, valid_items = DATASET.subsequences((1,))
    assert len(examples) == DATASET.n_users
    for user in range(DATASET.n_users):
        history = examples.items[examples.starts[user] : examples.ends[user]]
        assert history.tolist() == items[offsets[user] : offsets[user + 1]][-6:].tolist()
        assert examples.items[examples.ends[user]] == valid_items[valid_offsets[user]]


def test_without_a_validation_split_auto_is_train_and_validation_is_refused(surrogate):
    dataset = ring_dataset(users=40, items=25, valid=False)
    samples = build_samples(dataset)
    assert not dataset.has(Split.VALID)
    result = score_influence(dataset, samples, surrogate, InfluenceConfig(), runtime=ONE)
    assert result.diagnostics["target"] == "train"
    config = InfluenceConfig(target=RiskTarget.VALIDATION)
    with pytest.raises(InputError) as error:
        score_influence(dataset, samples, surrogate, config, runtime=ONE)
    assert error.value.code == "no_validation_split"


def test_single_precision_scores_agree_with_double(surrogate):
    samples = build_samples(DATASET)
    single, double = (
        score_influence(DATASET, samples, surrogate, InfluenceConfig(dtype=name), runtime=ONE)
        for name in ("float32", "float64")
    )
    assert single.scores.dtype == np.float64
    error = np.linalg.norm(single.scores - double.scores) / np.linalg.norm(double.scores)
    assert error < 1e-3
