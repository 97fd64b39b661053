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
from dealrec.influence.optimum import Point, continued
from dealrec.influence.preference import preference_gradient
from dealrec.influence.problem import Problem
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
    scorer = _Scorer(
        config,
        training,
        validation,
        curved,
        target,
        named,
        _Progress(reporter, _passes(config, training, validation, curved, target, named)),
    )
    curvature = scorer.curvature(problem)
    damping = config.damping * max(curvature.largest, torch.finfo(torch.float64).tiny)
    continuation = None
    if config.newton_steps:
        found, continuation = continued(
            problem,
            scorer.plain,
            lambda at: scorer.scored(at, damping),
            steps=config.newton_steps,
            damping=damping,
            beat=scorer.progress.beat,
        )
    else:
        found = scorer.scored(problem, damping, curvature)
    scorer.progress.finish()
    _announce(found.solution, reporter)
    scores = (found.derivatives / len(samples)).cpu().numpy()
    if not bool(torch.isfinite(found.derivatives).all()):
        raise DealrecError(
            "An influence score is not a number. Use more damping, or the solver cg.",
            code="influence_not_finite",
        )
    diagnostics = {
        **_definition(surrogate, config, target, softmax),
        **_gradients(found.v_train, found.v_validation),
        "preference": found.preference,
        **_solved(found, damping),
        "continuation": None if continuation is None else dataclasses.asdict(continuation),
        "samples": len(samples),
        "target_examples": len(named),
        "cold_target_examples": _cold(named, samples),
        "curvature_examples": len(curved),
        "seconds": time.perf_counter() - started,
    }
    return InfluenceScores(scores, diagnostics)


@dataclass(frozen=True)
class _Curvature:
    """The curvature at one point, and the ends of its spectrum."""

    system: System
    """Without damping and right-hand side."""
    least: float
    largest: float


@dataclass(frozen=True)
class _Scored(Point):
    """The scores at one point, and what led to them."""

    derivatives: Tensor
    """[n] ``uᵀ∇L(s)`` of every sample."""
    solution: Solution
    spectrum: _Curvature
    v_train: Tensor | None
    """[P] the gradient of the training risk, if a pass gave it."""
    v_validation: Tensor | None
    """[P] the gradient of the validation risk, if there is one."""
    preference: dict[str, Any] | None
    """What the preference is, if it is the risk."""


@dataclass(frozen=True)
class _Scorer:
    """Scores the samples at any values of the measured parameters."""

    config: InfluenceConfig
    training: Examples
    validation: Examples
    curved: Examples
    target: RiskTarget
    named: Examples
    progress: "_Progress"

    def system(self, problem: Problem) -> System:
        """Compute the curvature, without damping and right-hand side."""
        config, curved = self.config, self.curved
        parts = curved.parts(config.minibatches if config.solver is Solver.LISSA else 1)
        tick = self.progress.tick
        operators = tuple(problem.curvature(part, config.curvature, tick) for part in parts)
        weights = tuple(len(part) / len(curved) for part in parts)
        return System(operators, weights, 0.0, problem.values())

    def curvature(self, problem: Problem) -> _Curvature:
        """Compute the curvature and the ends of its spectrum."""
        system = self.system(problem)
        beat = self.progress.beat
        least, largest = extreme_eigenvalues(system, system.v, on_iteration=beat)
        whole = largest if len(system.parts) == 1 else None
        return _Curvature(dataclasses.replace(system, largest=whole), least, largest)

    def plain(self, problem: Problem) -> Point:
        """Compute what Newton steps need where no scores are computed."""
        return Point(
            problem,
            self.system(problem),
            lambda: problem.gradient(self.training, self.progress.tick),
        )

    def scored(
        self, problem: Problem, damping: float, spectrum: _Curvature | None = None
    ) -> _Scored:
        """Solve ``(H + δI) u = v`` and differentiate every sample's loss along ``u``."""
        tick, training, validation = self.progress.tick, self.training, self.validation
        if self.config.newton_steps:
            self.progress.halve()
        spectrum = spectrum or self.curvature(problem)
        v_validation = problem.gradient(validation, tick) if len(validation) else None
        v_train = problem.gradient(training, tick) if self.target is RiskTarget.TRAIN else None
        v = v_validation if self.target is RiskTarget.VALIDATION else v_train
        preference = None
        if self.config.risk is Risk.PREFERENCE:
            preferred = preference_gradient(problem, self.named, tick)
            v, preference = preferred.vector, preferred.facts
        if v is None:
            v = problem.gradient(self.named, tick)
        system = dataclasses.replace(spectrum.system, damping=damping, v=v)
        solution = solve(system, self.config, self.progress.beat)
        derivatives, gradient = problem.derivatives(training, solution.vector, tick)
        known = gradient if v_train is None else v_train

        def slope() -> Tensor:
            return problem.gradient(training, self.progress.still) if known is None else known

        return _Scored(
            problem,
            spectrum.system,
            slope,
            derivatives,
            solution,
            spectrum,
            known,
            v_validation,
            preference,
        )


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


def _passes(
    config: InfluenceConfig,
    training: Examples,
    validation: Examples,
    curved: Examples,
    target: RiskTarget,
    named: Examples,
) -> int:
    """Count the examples of all passes, with the scores of two points where Newton steps are taken."""
    passes = len(training) + len(validation)
    passes += 0 if target is RiskTarget.VALIDATION else len(named)
    if config.newton_steps:
        return 2 * len(curved) + len(training) + 2 * (len(curved) + passes)
    return len(curved) + passes


@dataclass
class _Progress:
    """Reports the number of examples that are finished in all passes together.

    How many points Newton steps try is not known before, so each may report half of what is left.
    """

    reporter: Reporter
    total: int
    done: int = 0
    limit: int | None = None

    def halve(self) -> None:
        """Let the next passes report half of what is left."""
        self.limit = self.done + (self.total - self.done) // 2

    def finish(self) -> None:
        """Report that everything is finished."""
        self.limit = None
        self.tick(self.total)

    def tick(self, examples: int) -> None:
        limit = self.total if self.limit is None else self.limit
        self.done = min(limit, self.done + examples)
        self.reporter.progress(self.done, self.total, "sample")

    def still(self, _examples: int) -> None:
        """Report a pass that is not among those counted."""
        self.beat()

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


def _solved(found: _Scored, damping: float) -> dict[str, Any]:
    solution = found.solution
    assert math.isfinite(solution.residual)
    return {
        "largest_eigenvalue": found.spectrum.largest,
        "smallest_ritz_value": found.spectrum.least,
        "damping": damping,
        "residual": solution.residual,
        "iterations": solution.iterations,
        "converged": solution.converged,
        "negative_curvature": solution.negative_curvature,
    }
