import numpy as np
import pytest
import torch

from dealrec.config import (
    Curvature,
    InfluenceConfig,
    InfluenceParameters,
    RiskTarget,
    Sampling,
    Solver,
    Split,
)
from dealrec.config.runtime import Runtime
from dealrec.data.samples import build_samples
from dealrec.errors import InputError
from dealrec.influence.scoring import score_influence
from dealrec.progress import Silent
from tests.dealrec.influence.reference import Reference
from tests.dealrec.surrogates.data import ring_dataset

ONE = Runtime(threads=1, device="cpu")
DATASET = ring_dataset(users=40, items=25)
TINY = ring_dataset(users=9, items=7)


@pytest.mark.parametrize("curvature", list(Curvature))
@pytest.mark.parametrize("parameters", list(InfluenceParameters))
def test_every_solver_gives_the_closed_form(tiny_surrogate, parameters, curvature):
    """Dense curvature, direct solve, one gradient a sample; scores are ``(1/n) gᵀ(H + δI)⁻¹v``."""
    samples = build_samples(TINY)
    reference = Reference(tiny_surrogate, samples, parameters)
    gradients, dense = reference.gradients(), reference.dense(curvature)
    eigenvalues = torch.linalg.eigvalsh(dense)
    for solver in Solver:
        config = InfluenceConfig(
            dtype="float64",
            solver=solver,
            curvature=curvature,
            parameters=parameters,
            target=RiskTarget.TRAIN,
            damping=2.0,
            newton_steps=0,
            tolerance=1e-9,
            max_iterations=2000,
        )
        result = score_influence(TINY, samples, tiny_surrogate, config, runtime=ONE)
        said = result.diagnostics
        assert said["largest_eigenvalue"] == pytest.approx(float(eigenvalues[-1]), rel=1e-4)
        damped = dense + said["damping"] * torch.eye(len(dense), dtype=torch.float64)
        u = torch.linalg.solve(damped, gradients.mean(0))
        expected = (gradients @ u / len(samples)).numpy()
        assert said["converged"], solver
        assert said["residual"] <= 1e-9
        error = np.linalg.norm(result.scores - expected) / np.linalg.norm(expected)
        assert error < 1e-7, solver


@pytest.mark.parametrize("damping", [1e-2, 1e-4])
def test_conjugate_gradient_equals_the_dense_solution_where_damping_is_small(
    tiny_surrogate, damping
):
    samples = build_samples(TINY)
    found = {}
    for solver in (Solver.EXACT, Solver.CG):
        config = InfluenceConfig(
            dtype="float64", solver=solver, damping=damping, tolerance=1e-12, max_iterations=1000
        )
        result = score_influence(TINY, samples, tiny_surrogate, config, runtime=ONE)
        assert result.diagnostics["converged"]
        found[solver] = result.scores
    np.testing.assert_allclose(found[Solver.CG], found[Solver.EXACT], rtol=1e-6, atol=1e-12)


def test_minibatches_of_lissa_come_near_the_solution_over_all(tiny_surrogate):
    samples = build_samples(TINY)
    lissa = InfluenceConfig(
        dtype="float64", solver=Solver.LISSA, minibatches=4, damping=0.5, tolerance=1e-3
    )
    found = score_influence(TINY, samples, tiny_surrogate, lissa, runtime=ONE)
    exact = lissa.model_copy(update={"solver": Solver.EXACT})
    expected = score_influence(TINY, samples, tiny_surrogate, exact, runtime=ONE)
    assert found.diagnostics["minibatches"] == 4
    assert found.diagnostics["residual"] < 0.05
    error = np.linalg.norm(found.scores - expected.scores) / np.linalg.norm(expected.scores)
    assert error < 0.05


def test_exact_refuses_a_set_too_large_for_a_dense_matrix(monkeypatch, tiny_surrogate):
    monkeypatch.setattr("dealrec.influence.solvers.exact.MAX_PARAMETERS", 15)
    samples, config = build_samples(TINY), InfluenceConfig(solver=Solver.EXACT)
    with pytest.raises(InputError) as caught:
        score_influence(TINY, samples, tiny_surrogate, config, runtime=ONE)
    assert caught.value.code == "parameter_set_too_large"
    assert "28 parameters" in str(caught.value)
    assert "at most 15" in str(caught.value)


def test_a_solver_stopped_early_says_that_it_did_not_converge(ring_surrogate):
    samples = build_samples(DATASET)
    for solver in (Solver.CG, Solver.LISSA):
        config = InfluenceConfig(solver=solver, max_iterations=1)
        watched = Watched()
        result = score_influence(
            DATASET, samples, ring_surrogate, config, runtime=ONE, reporter=watched
        )
        assert result.diagnostics["converged"] is False
        assert watched.events == ["not_converged"]


class Watched(Silent):
    def __init__(self):
        self.events, self.steps = [], []

    def progress(self, done, total, unit):
        self.steps.append((done, total, unit))

    def event(self, kind, **data):
        self.events.append(kind)


@pytest.mark.parametrize("target", [RiskTarget.TRAIN, RiskTarget.VALIDATION])
def test_progress_ends_at_its_total(ring_surrogate, target):
    watched = Watched()
    score_influence(
        DATASET,
        build_samples(DATASET),
        ring_surrogate,
        InfluenceConfig(target=target),
        runtime=ONE,
        reporter=watched,
    )
    done, total, unit = watched.steps[-1]
    assert (done, unit) == (total, "sample")
    assert [step[0] for step in watched.steps] == sorted(step[0] for step in watched.steps)


def test_every_sample_has_a_score_also_a_user_with_two_training_items(ring_surrogate):
    samples = build_samples(DATASET)
    result = score_influence(DATASET, samples, ring_surrogate, InfluenceConfig(), runtime=ONE)
    two_items = samples.history_lengths == 1
    assert result.scores.dtype == np.float64
    assert len(result.scores) == len(samples)
    assert two_items.any()
    assert (result.scores[two_items] != 0).all()
    assert np.isfinite(result.scores).all()


def test_scores_do_not_depend_on_any_seed_and_say_what_they_are(ring_surrogate):
    samples = build_samples(DATASET, Sampling.PER_INTERACTION)
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        config = InfluenceConfig(curvature_tokens=50, seed=seed, newton_steps=0)
        found.append(score_influence(DATASET, samples, ring_surrogate, config, runtime=ONE))
    first, second = found
    assert np.array_equal(first.scores, second.scores)
    said = first.diagnostics
    assert said["target"] == "validation"
    assert said["trained_on"] == "sampled_softmax"
    assert said["loss"] == "full_softmax"
    assert said["converged"] is True
    assert said["residual"] <= config.tolerance
    assert said["damping"] == pytest.approx(config.damping * said["largest_eigenvalue"])
    assert said["curvature_examples"] == 50
    assert said["continuation"] is None
    assert -1 <= said["v_train_validation_cosine"] <= 1


def test_without_a_validation_split_auto_is_train_and_validation_is_refused(ring_surrogate):
    dataset = ring_dataset(users=40, items=25, valid=False)
    samples = build_samples(dataset)
    assert not dataset.has(Split.VALID)
    result = score_influence(dataset, samples, ring_surrogate, InfluenceConfig(), runtime=ONE)
    assert result.diagnostics["target"] == "train"
    config = InfluenceConfig(target=RiskTarget.VALIDATION)
    with pytest.raises(InputError) as error:
        score_influence(dataset, samples, ring_surrogate, config, runtime=ONE)
    assert error.value.code == "no_validation_split"


def test_single_precision_scores_agree_with_double(ring_surrogate):
    samples = build_samples(DATASET)
    single, double = (
        score_influence(DATASET, samples, ring_surrogate, InfluenceConfig(dtype=name), runtime=ONE)
        for name in ("float32", "float64")
    )
    assert single.scores.dtype == np.float64
    error = np.linalg.norm(single.scores - double.scores) / np.linalg.norm(double.scores)
    assert error < 1e-3
