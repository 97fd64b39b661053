"""Computes the influence ``I(s) = (1/n) uᵀ∇L(s)`` of every sample, with one solve of ``(H + δI) u = v``."""

import copy
import dataclasses
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dealrec.config import InfluenceConfig, Risk, RiskTarget, SampleLoss, Solver
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.errors import DealrecError, InputError
from dealrec.influence.examples import Examples
from dealrec.influence.factors import make_problem
from dealrec.influence.optimum import continued
from dealrec.influence.preference import preference_gradient
from dealrec.influence.problem import Problem, Tick
from dealrec.influence.scores import InfluenceScores
from dealrec.influence.softmax import CatalogueSoftmax
from dealrec.influence.solvers.exact import require_exact
from dealrec.influence.solvers.interface import Solution, System
from dealrec.influence.solvers.solve import solve
from dealrec.influence.solvers.spectrum import extreme_eigenvalues
from dealrec.influence.targets import target_examples
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime
from dealrec.surrogates.storage import TrainedSurrogate


def score_influence(
    dataset: Dataset,
    samples: Samples,
    surrogate: TrainedSurrogate,
    config: InfluenceConfig,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> InfluenceScores:
    """Score all ``n`` samples on one trained surrogate, deterministically.

    The loss is that of the full softmax (or of the softmax over ``loss_items``) with dropout off,
    whatever loss the surrogate was trained with; the diagnostics name both losses. The target
    ``auto`` is the validation risk if the data set has that split, otherwise the training risk.

    Raises:
        InputError: ``no_samples``; ``no_validation_split`` if the target needs that split;
            ``no_timestamps`` for the target ``recent`` without times; ``no_candidates`` for the
            preference of examples with one target; ``unknown_samples`` among ``target_samples``;
            ``parameter_set_too_large`` for ``exact``.
        DealrecError: ``influence_not_finite`` if a score is not finite; ``solver_diverged``.
        Cancelled: ``reporter`` cancelled the run between batches or iterations.
    """
    started = time.perf_counter()
    device = apply_runtime((runtime or Runtime()).on_one_thread())
    if not len(samples):
        raise InputError("There are no samples to score.", code="no_samples")
    model = copy.deepcopy(surrogate.model).to(device, getattr(torch, config.dtype)).eval()
    softmax = _softmax(samples, dataset.n_items, config, device)
    problem = make_problem(model, config.parameters, softmax)
    training = Examples.of_samples(samples, dataset.n_items, model.max_length, config.sample_loss)
    if config.solver is Solver.EXACT:
        require_exact(problem.size)
    validation = Examples.of_validation(dataset, model.max_length, config.sample_loss)
    target, named = target_examples(config, dataset, samples, training, validation)
    curved = training.evenly(config.curvature_tokens)
    step = 2 * len(training) + len(curved) if config.newton_steps else 0
    passes = _passes(training, validation, curved, named, target)
    progress = _Progress(reporter, passes + step + (len(curved) if step else 0))
    undamped, least, largest = _curvature(problem, curved, config, progress)
    damping = config.damping * max(largest, torch.finfo(torch.float64).tiny)
    continuation = None
    if config.newton_steps:
        tick = progress.until(progress.done + step)
        problem, continuation = continued(problem, training, curved, config, damping, tick)
        undamped, least, largest = _curvature(problem, curved, config, progress)
    v_validation = problem.gradient(validation, progress.tick) if len(validation) else None
    v_train = problem.gradient(training, progress.tick) if target is RiskTarget.TRAIN else None
    v = v_validation if target is RiskTarget.VALIDATION else v_train
    preference = None
    if config.risk is Risk.PREFERENCE:
        preference = preference_gradient(problem, named, progress.tick)
        v = preference.vector
    if v is None:
        v = problem.gradient(named, progress.tick)
    system = dataclasses.replace(undamped, damping=damping, v=v)
    solution = solve(system, config, progress.beat)
    _announce(solution, reporter)
    derivatives, gradient = problem.derivatives(training, solution.vector, progress.tick)
    if v_train is None:
        v_train = gradient
    scores = (derivatives / len(samples)).cpu().numpy()
    if not bool(torch.isfinite(derivatives).all()):
        raise DealrecError(
            "An influence score is not a number. Use more damping, or the solver cg.",
            code="influence_not_finite",
        )
    diagnostics = {
        **_definition(surrogate, config, target, softmax),
        **_gradients(v_train, v_validation),
        "preference": None if preference is None else preference.facts,
        **_solved(solution, least, largest, damping),
        "continuation": None if continuation is None else dataclasses.asdict(continuation),
        "samples": len(samples),
        "target_examples": len(named),
        "cold_target_examples": _cold(named, samples),
        "curvature_examples": len(curved),
        "seconds": time.perf_counter() - started,
    }
    return InfluenceScores(scores, diagnostics)


def _cold(target: Examples, samples: Samples) -> int:
    """Count the examples whose answer stands in no sample, so that no sample teaches it."""
    known = np.zeros(target.n_items, bool)
    known[samples.items] = True
    return int((~known[target.items[target.ends]]).sum())


def _softmax(
    samples: Samples, n_items: int, config: InfluenceConfig, device: torch.device
) -> CatalogueSoftmax:
    """Return the softmax over the whole catalogue, or over items drawn by their frequency."""
    if config.loss_items is None:
        return CatalogueSoftmax.whole(n_items)
    frequencies = np.bincount(samples.items, minlength=n_items)
    dtype = getattr(torch, config.dtype)
    return CatalogueSoftmax.drawn(frequencies, config.loss_items, dtype, device)


def _curvature(
    problem: Problem, curved: Examples, config: InfluenceConfig, progress: "_Progress"
) -> tuple[System, float, float]:
    """Return the curvature, without damping and right-hand side, and the ends of its spectrum."""
    parts = curved.parts(config.minibatches if config.solver is Solver.LISSA else 1)
    operators = [problem.curvature(part, config.curvature, progress.tick) for part in parts]
    weights = tuple(len(part) / len(curved) for part in parts)
    undamped = System(tuple(operators), weights, 0.0, problem.values())
    least, largest = extreme_eigenvalues(undamped, undamped.v, on_iteration=progress.beat)
    whole = largest if len(parts) == 1 else None
    return dataclasses.replace(undamped, largest=whole), least, largest


def _passes(
    training: Examples,
    validation: Examples,
    curved: Examples,
    named: Examples,
    target: RiskTarget,
) -> int:
    """Count the examples of all passes: scores, gradients of both risks, curvature, target gradient.

    Newton steps are not among them.
    """
    passes = len(training) + len(validation) + len(curved)
    return passes + (0 if target is RiskTarget.VALIDATION else len(named))


@dataclass
class _Progress:
    """Reports the number of examples that are finished in all passes together."""

    reporter: Reporter
    total: int
    done: int = 0

    def tick(self, examples: int) -> None:
        self._reach(min(self.total, self.done + examples))

    def until(self, limit: int) -> Tick:
        """Return a tick that goes no further than ``limit``, for passes whose number is not known."""
        return lambda examples: self._reach(min(limit, self.done + examples))

    def _reach(self, done: int) -> None:
        self.done = done
        self.reporter.progress(done, self.total, "sample")

    def beat(self) -> None:
        self.tick(0)


def _announce(solution: Solution, reporter: Reporter) -> None:
    reporter.metric("residual", solution.residual)
    reporter.metric("iterations", float(solution.iterations))
    if solution.negative_curvature:
        reporter.event("negative_curvature", iteration=solution.iterations)
    elif not solution.converged:
        reporter.event("not_converged", residual=solution.residual)


_RISKS = {
    RiskTarget.VALIDATION: "each user's first validation item given the training history",
    RiskTarget.TRAIN: "the samples",
    RiskTarget.RECENT: "the newest samples",
    RiskTarget.SAMPLES: "the samples of target_samples",
}


def _definition(
    surrogate: TrainedSurrogate,
    config: InfluenceConfig,
    target: RiskTarget,
    softmax: CatalogueSoftmax,
) -> dict[str, Any]:
    """Return the definition of the scores for the manifest: the risk, the loss and the settings."""
    every = "mean over positions" if config.sample_loss is SampleLoss.SEQUENCE else "target only"
    return {
        "risk": _RISKS[target],
        "target": target.value,
        "measured": config.risk.value,
        "trained_on": surrogate.config.loss.value,
        "loss": softmax.description,
        "sample_loss": config.sample_loss.value,
        "weights": f"samples equally; within a sample: {every}",
        "parameters": config.parameters.value,
        "curvature": config.curvature.value,
        "solver": config.solver.value,
        **({"minibatches": config.minibatches} if config.solver is Solver.LISSA else {}),
        "dtype": config.dtype,
    }


def _gradients(v_train: Tensor | None, v_validation: Tensor | None) -> dict[str, Any]:
    """Return the norms of both risks' gradients and their cosine; null if one was not computed."""
    train = None if v_train is None else float(v_train.norm())
    validation = None if v_validation is None else float(v_validation.norm())
    cosine = None
    if v_train is not None and v_validation is not None and train and validation:
        cosine = float(v_train @ v_validation) / (train * validation)
    return {
        "v_train_norm": train,
        "v_validation_norm": validation,
        "v_train_validation_cosine": cosine,
    }


def _solved(solution: Solution, least: float, largest: float, damping: float) -> dict[str, Any]:
    assert math.isfinite(solution.residual)
    return {
        "largest_eigenvalue": largest,
        "smallest_ritz_value": least,
        "damping": damping,
        "residual": solution.residual,
        "iterations": solution.iterations,
        "converged": solution.converged,
        "negative_curvature": solution.negative_curvature,
    }
