"""Compares influence scores with retraining: the parameters are optimised again without a sample.

The comparison runs on a small problem in float64. All parameters of the surrogate but the measured set
``θ`` stay fixed. With the damping δ of the influence, ``F(θ) = R(θ) + δ/2 ‖θ − θ₀‖²`` is minimised to
convergence from the trained ``θ₀``, and again without sample ``s``. To first order, with all terms at
the minimum, the target risk changes by ``(1/n) vᵀ(H + δI)⁻¹∇L(s)``, which is the influence score.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, grad, jvp

from dealrec.config import InfluenceConfig, InfluenceParameters
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.errors import InputError
from dealrec.influence.examples import Batch, Examples, Positions
from dealrec.influence.factors import make_problem
from dealrec.influence.fidelity.intervals import DRAWS, Floats, Interval
from dealrec.influence.items import ItemProblem
from dealrec.influence.problem import Problem, StatesAndItems, no_tick
from dealrec.influence.solvers.cg import conjugate_gradient
from dealrec.influence.solvers.interface import ProductOperator, System
from dealrec.influence.solvers.solve import solve
from dealrec.influence.solvers.spectrum import extreme_eigenvalues
from dealrec.influence.targets import target_examples
from dealrec.metrics.correlation import spearman
from dealrec.progress import SILENT, Reporter
from dealrec.surrogates.interface import Surrogate, softmax_losses

Losses = Callable[[Tensor, Examples], Tensor]
"""Maps the flat measured set [P] and ``E`` examples to their losses [E]."""
Objective = Callable[[Tensor], Tensor]
_STEPS, _NEWTON_STEPS = 500, 20
_GRADIENT = 1e-8
"""The largest component of F's gradient at which the optimisation has converged."""


@dataclass(frozen=True)
class LeaveOneOut:
    """Changes of the target risk, in nats, when a sample is left out."""

    actual: Floats
    """The changes that retraining measured."""
    predicted: Floats
    """The changes that influence predicts."""

    def spearman(self) -> Interval:
        """Compute the Spearman correlation of both, with a bootstrap interval over the samples."""
        whole = spearman(self.predicted, self.actual)
        generator = np.random.default_rng(0)
        draws = []
        for _ in range(DRAWS):
            at = generator.integers(len(self.actual), size=len(self.actual))
            draws.append(spearman(self.predicted[at], self.actual[at]) or 0.0)
        return Interval.of(whole or 0.0, np.array(draws))


def leave_one_out(
    dataset: Dataset,
    samples: Samples,
    surrogate: Surrogate,
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
    model = copy.deepcopy(surrogate).double().eval()
    training = Examples.of_samples(samples, dataset.n_items, model.max_length, config.sample_loss)
    validation = Examples.of_validation(dataset, model.max_length, config.sample_loss)
    _, target = target_examples(config, dataset, samples, training, validation)
    losses, start = _measured_losses(model, config.parameters)
    before = make_problem(model, config.parameters)
    _, largest = extreme_eigenvalues(before.curvature(training, config.curvature, no_tick), start)
    damping = config.damping * largest

    def objective(flat: Tensor, kept: Tensor) -> Tensor:
        risk = losses(flat, training) @ kept / len(training)
        return risk + damping / 2 * (flat - start).square().sum()

    kept = torch.ones(len(training), dtype=torch.float64)
    least = _minimum(lambda flat: objective(flat, kept), start)
    problem = _problem_at(model, config.parameters, least)
    v = problem.gradient(target, no_tick)
    operator = problem.curvature(training, config.curvature, no_tick)
    u = solve(System((operator,), (1.0,), damping, v), config, lambda: None).vector
    scores = problem.derivatives(training, u, no_tick)[0] / len(training)
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
    return LeaveOneOut(np.array(actual), scores.cpu().numpy()[picked])


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


def _problem_at(model: Surrogate, parameters: InfluenceParameters, flat: Tensor) -> Problem:
    if parameters is InfluenceParameters.ITEM_EMBEDDING:
        return ItemProblem(model, items=flat.view_as(model.item_vectors()))
    moved = copy.deepcopy(model)
    torch.nn.utils.vector_to_parameters(
        flat, [moved.get_parameter(name) for name in moved.parameters_in(parameters)]
    )
    return make_problem(moved, parameters)


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
    raise InputError(
        "Optimising the measured parameters again did not converge (gradient "
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
