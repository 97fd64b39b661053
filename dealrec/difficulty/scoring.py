"""EL2N, GraNd and the log-probability of the target, for every sample on the surrogate.

The first two are those of Paul et al., NeurIPS 2021, arXiv 2107.07075. Let ``p`` be the softmax
over the whole catalogue after the history, and ``y`` the target. EL2N is ``‖p − e_y‖₂``. GraNd is
the norm of the loss's gradient by the last attention output matrix (the parameter set of
influence). Only one token has a loss. With ``x`` the matrix's input at this token and ``g`` the
gradient of its output, the sample's gradient is ``g xᵀ`` and GraNd is ``‖g‖‖x‖``. If a surrogate
has no token-wise tail, the gradient is taken by its item vectors, and GraNd is
``‖p − e_y‖‖state‖``.

The paper averages over networks early in training or at initialisation. This module averages over
the members of the trained ensemble.
"""

import copy
import time

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dealrec.config import SampleLoss
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.difficulty.scores import DifficultyScores
from dealrec.errors import DealrecError
from dealrec.influence.examples import Examples, Positions
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime
from dealrec.surrogates.ensemble import Ensemble
from dealrec.surrogates.interface import Surrogate, TokenwiseTail

Float64 = npt.NDArray[np.float64]


def score_difficulty(
    dataset: Dataset,
    samples: Samples,
    ensemble: Ensemble,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> DifficultyScores:
    """Compute the three scores of all ``n`` samples, averaged over the ensemble; deterministic.

    Raises:
        DealrecError: ``non_finite_score`` if a score is not finite.
        Cancelled: ``reporter`` cancelled the run between batches.
    """
    started = time.perf_counter()
    device = apply_runtime((runtime or Runtime()).on_one_thread())
    total, members = np.zeros((3, len(samples))), len(ensemble.members)
    for number, member in enumerate(ensemble.members):
        model = copy.deepcopy(member.model).to(device).eval()
        examples = Examples.of_samples(samples, dataset.n_items, model.max_length, SampleLoss.LAST)
        done = number * len(samples)
        for batch in examples.batches(torch.float32, device):
            found = torch.stack(_measured(model, batch.positions()))
            total[:, batch.index.cpu().numpy()] += found.double().cpu().numpy()
            done += len(batch.index)
            reporter.progress(done, members * len(samples), "sample")
    total /= members
    if not np.isfinite(total).all():
        raise DealrecError(
            (
                "The difficulty of a sample is not a number. The surrogate's training may have diverged; "
                "lower its learning rate."
            ),
            code="non_finite_score",
        )
    tail = all(isinstance(member.model, TokenwiseTail) for member in ensemble.members)
    diagnostics = {
        "loss": "full_softmax",
        "grand_parameters": "attention_output" if tail else "item_embedding",
        "surrogates": members,
        "samples": len(samples),
        "seconds": time.perf_counter() - started,
    }
    return DifficultyScores(total[0], total[1], total[2], diagnostics)


def _measured(model: Surrogate, at: Positions) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the [M] EL2N, GraNd and log-probability of the positions, one for each sample."""
    items = model.item_vectors().detach()
    if not isinstance(model, TokenwiseTail):
        with torch.no_grad():
            states = model.states_at(at.sequences, at.rows, at.columns)
            error, _, likelihood = _errors(states, items, at.targets)
        return error, error * states.norm(dim=1), likelihood
    with torch.no_grad():
        entering, residual = model.entering_at(at.sequences, at.rows, at.columns)
        projected = entering @ model.get_parameter(model.attention_output_name()).T
    projected.requires_grad_()
    states = model.after_attention_output(projected, residual)
    with torch.no_grad():
        error, outer, likelihood = _errors(states, items, at.targets)
    (gradients,) = torch.autograd.grad(states, projected, outer)
    return error, gradients.norm(dim=1) * entering.norm(dim=1), likelihood


def _errors(states: Tensor, items: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute ``‖p − e_y‖``, [M], the gradient by the states, ``Eᵀ(p − e_y)``, [M, d], and [M] log p_y."""
    rows = torch.arange(len(targets), device=targets.device)
    scores = states @ items.T
    likelihood = scores[rows, targets] - scores.logsumexp(1)
    errors = scores.softmax(1)
    errors[rows, targets] -= 1
    return errors.norm(dim=1), errors @ items, likelihood
