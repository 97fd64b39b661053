"""Compares influence scores with retraining: the parameters are optimised again without a sample.

The comparison runs on a small problem. All parameters of the surrogate but the measured set ``θ`` stay
fixed. With the damping δ of the influence, ``F(θ) = R(θ) + δ/2 ‖θ − θ₀‖²`` is minimised in float64 to
convergence from the trained ``θ₀``, and again without sample ``s``. To first order, with all terms at
the minimum, the target risk changes by ``(1/n) vᵀ(H + δI)⁻¹∇L(s)``. The influence that selects samples
has its terms at the trained parameters instead, so both are compared with the changes.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, grad, jvp

from dealrec.config import InfluenceConfig, InfluenceParameters, Solver
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset, Int64
from dealrec.data.samples import Samples
from dealrec.errors import InputError
from dealrec.influence.examples import Batch, Examples, Positions
from dealrec.influence.factors import make_problem
from dealrec.influence.fidelity.intervals import DRAWS, Floats, Interval
from dealrec.influence.problem import Problem, StatesAndItems, no_tick
from dealrec.influence.scoring import score_influence
from dealrec.influence.solvers.cg import conjugate_gradient
from dealrec.influence.solvers.interface import ProductOperator, System
from dealrec.influence.solvers.solve import solve
from dealrec.influence.solvers.spectrum import extreme_eigenvalues
from dealrec.influence.targets import target_examples
from dealrec.metrics.correlation import spearman
from dealrec.progress import SILENT, Reporter
from dealrec.surrogates.interface import Surrogate, softmax_losses
from dealrec.surrogates.storage import TrainedSurrogate

Losses = Callable[[Tensor, Examples], Tensor]
"""Maps the flat measured set [P] and ``E`` examples to their losses [E]."""
Objective = Callable[[Tensor], Tensor]
_RUNTIME = Runtime(device="cpu")
_EXACTLY = {"solver": Solver.CG, "tolerance": 1e-8, "max_iterations": 5000}
"""The options of scores at the minimum."""
_STEPS, _NEWTON_STEPS = 500, 20
_GRADIENT, _ENOUGH = 1e-8, 1e-7
"""The largest component of F's gradient at which the optimisation ends, and at which it counts as converged
where no step gets further. A sample that is left out changes that component by 1e-5 or more."""


@dataclass(frozen=True)
class Agreement:
    """Spearman correlations of scores with the changes that retraining measured."""

    used: Interval
    """The correlation of the scores that select samples."""
    at_minimum: Interval
    """The correlation of scores at the minimum of the damped risk."""


@dataclass(frozen=True)
class LeaveOneOut:
    """Changes of the target risk, in nats, when a sample is left out."""

    samples: Int64
    """The dense indices of the samples, ascending."""
    actual: Floats
    """The changes that retraining measured."""
    used: Floats
    """The changes that the influence scores predict, which select samples."""
    at_minimum: Floats
    """The changes that influence predicts with all terms at the minimum of the damped risk."""

    def agreement(self) -> Agreement:
        """Compute the correlations of both predictions, with bootstrap intervals over the samples."""
        return Agreement(
            correlation(self.used, self.actual), correlation(self.at_minimum, self.actual)
        )


def correlation(predicted: Floats, actual: Floats) -> Interval:
    """Compute the Spearman correlation of both, with a bootstrap interval over the samples."""
    generator = np.random.default_rng(0)
    draws = []
    for _ in range(DRAWS):
        at = generator.integers(len(actual), size=len(actual))
        draws.append(spearman(predicted[at], actual[at]) or 0.0)
    return Interval.of(spearman(predicted, actual) or 0.0, np.array(draws))


def leave_one_out(
    dataset: Dataset,
    samples: Samples,
    surrogate: TrainedSurrogate,
    config: InfluenceConfig,
    count: int,
    *,
    reporter: Reporter = SILENT,
) -> LeaveOneOut:
    """Leave ``count`` samples out, one at a time; they are drawn at random, the same each time.

    Raises:
        InputError: The errors of scoring, and ``not_converged`` if the optimisation does not converge.
        Cancelled: ``reporter`` cancelled the run between samples.
    """
    used = score_influence(dataset, samples, surrogate, config, runtime=_RUNTIME).scores
    exactly = config.model_copy(update=_EXACTLY)
    model = copy.deepcopy(surrogate.model).double().eval()
    training = Examples.of_samples(samples, dataset.n_items, model.max_length, config.sample_loss)
    validation = Examples.of_validation(dataset, model.max_length, config.sample_loss)
    _, target = target_examples(config, dataset, samples, training, validation)
    curved = training.evenly(config.curvature_tokens)
    losses, start = _measured_losses(model, config.parameters)
    problem = make_problem(model, config.parameters)
    operator = problem.curvature(curved, config.curvature, no_tick)
    damping = config.damping * extreme_eigenvalues(operator, start)[1]

    def objective(flat: Tensor, kept: Tensor) -> Tensor:
        risk = losses(flat, training) @ kept / len(training)
        return risk + damping / 2 * (flat - start).square().sum()

    kept = torch.ones(len(training), dtype=torch.float64)
    least = _minimum(lambda flat: objective(flat, kept), start)
    at_minimum = _scores(problem.at(least), training, target, damping, exactly)
    picked = np.sort(np.random.default_rng(0).permutation(len(training))[:count])
    risk = float(losses(least, target).mean())
    actual = []
    for done, sample in enumerate(picked):
        reporter.progress(done, len(picked), "retraining")
        without = kept.clone()
        without[sample] = 0
        moved = _minimum(lambda flat, without=without: objective(flat, without), least)  # type: ignore[misc]
        actual.append(float(losses(moved, target).mean()) - risk)
    reporter.progress(len(picked), len(picked), "retraining")
    return LeaveOneOut(picked, np.array(actual), used[picked], at_minimum[picked])


def _scores(
    problem: Problem,
    training: Examples,
    target: Examples,
    damping: float,
    config: InfluenceConfig,
) -> Floats:
    """Compute the influence [n] of all samples with every term at the problem's parameters."""
    operator = problem.curvature(training, config.curvature, no_tick)
    v = problem.gradient(target, no_tick)
    u = solve(System((operator,), (1.0,), damping, v), config, lambda: None).vector
    found: Floats = (problem.derivatives(training, u, no_tick)[0] / len(training)).numpy()
    return found


def _measured_losses(model: Surrogate, parameters: InfluenceParameters) -> tuple[Losses, Tensor]:
    """Return the losses as a function of the measured set alone, and the set's present values [P]."""
    if parameters is InfluenceParameters.ITEM_EMBEDDING:
        return _item_losses(model), model.item_vectors().detach().reshape(-1).clone()
    outputs = StatesAndItems(model)
    fixed = {f"model.{name}": value.detach() for name, value in model.named_parameters()}
    names = [f"model.{name}" for name in model.parameters_in(parameters)]
    sizes = [fixed[name].numel() for name in names]

    def losses(flat: Tensor, examples: Examples) -> Tensor:
        parts = zip(names, torch.split(flat, sizes), strict=True)
        moved = {**fixed, **{name: part.view_as(fixed[name]) for name, part in parts}}
        values = torch.zeros(len(examples), dtype=torch.float64)
        for batch in _batches(examples):
            at = batch.positions()
            places = (at.sequences, at.rows, at.columns)
            states, items = functional_call(outputs, moved, places)
            each = softmax_losses(states, items, at.targets) * at.weights
            values = values.index_add(0, batch.index[at.rows], each)
        return values

    return losses, torch.cat([fixed[name].reshape(-1) for name in names])


def _item_losses(model: Surrogate) -> Losses:
    """Return the losses as a function of the output item vectors alone.

    The states do not depend on them, and are computed once for each set of examples.
    """
    known: dict[int, list[tuple[Batch, Positions, Tensor]]] = {}

    def losses(flat: Tensor, examples: Examples) -> Tensor:
        if id(examples) not in known:
            with torch.no_grad():
                known[id(examples)] = [
                    (batch, at, model.states_at(at.sequences, at.rows, at.columns))
                    for batch in _batches(examples)
                    for at in [batch.positions()]
                ]
        items = flat.view(model.n_items, -1)
        values = torch.zeros(len(examples), dtype=torch.float64)
        for batch, at, states in known[id(examples)]:
            each = softmax_losses(states, items, at.targets) * at.weights
            values = values.index_add(0, batch.index[at.rows], each)
        return values

    return losses


def _batches(examples: Examples) -> Iterator[Batch]:
    return examples.batches(torch.float64, torch.device("cpu"))


def _minimum(objective: Objective, start: Tensor) -> Tensor:
    """Minimise by L-BFGS, then by Newton steps, which need no differences of objective values."""
    at = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [at],
        max_iter=_STEPS,
        tolerance_grad=_GRADIENT,
        tolerance_change=0.0,
        history_size=50,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        at.grad = None
        value = objective(at)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    found = at.detach()
    slope = grad(objective)
    gradient = slope(found)
    for _ in range(_NEWTON_STEPS):
        if float(gradient.abs().max()) <= _GRADIENT:
            return found
        step = _newton_step(slope, found, gradient)
        further = slope(found - step)
        if not float(further.norm()) < float(gradient.norm()):
            break
        found, gradient = found - step, further
    if float(gradient.abs().max()) <= _ENOUGH:
        return found
    raise InputError(
        "Optimising the measured parameters after leaving samples out did not converge (gradient "
        f"{float(gradient.abs().max()):.1e}). Use a larger damping, a smaller problem, or a smaller "
        "parameter set.",
        code="not_converged",
    )


def _newton_step(slope: Objective, at: Tensor, gradient: Tensor) -> Tensor:
    def product(vector: Tensor) -> Tensor:
        image: Tensor = jvp(slope, (at,), (vector,))[1]
        return image

    system = System((ProductOperator(product, len(at), at.device),), (1.0,), 0.0, gradient)
    return conjugate_gradient(system, tolerance=1e-4, max_iterations=500).vector
