"""Instruction-following difficulty (IFD): how much the history helps the language model to the target.

Li et al., *From Quantity to Quality: Boosting LLM Performance with Self-Guided Data Selection for
Instruction Tuning*, NAACL 2024, arXiv 2308.12032: ``IFD = s(A | Q) / s(A)``, where ``s`` is the mean loss
of the answer's tokens with and without the question. Here the answer is the title of the target with the
end of the text, the question is the history, and the instruction stands before both, so that the language
model knows in both cases that a title follows.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dealrec.config import IfdConfig, LossSpan
from dealrec.config.prompt import PromptConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.prompter import Prompter
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import Samples
from dealrec.difficulty.scores import FollowingScores
from dealrec.language_models.batch_plan import plan_batches
from dealrec.language_models.loading import LoadedLanguageModel, load_language_model
from dealrec.language_models.prefix import PrefixReuse, reuse_prefix
from dealrec.language_models.side_by_side import Measure, side_by_side
from dealrec.language_models.structure import find_structure
from dealrec.language_models.tokens import EncodedSample, Encoder, loss_targets, padded
from dealrec.language_models.vectors import vectors_of
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime
from dealrec.selection.vectors import Float32


def score_following(
    dataset: Dataset,
    samples: Samples,
    prompt: PromptConfig,
    config: IfdConfig,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
    checkpoint_dir: Path | None = None,
    pieces: int = 1,
) -> FollowingScores:
    """Compute both losses of ``n`` samples; the one without the history once for each target.

    Samples with texts of their own have each its own answer.

    Raises:
        InputError: The errors of :func:`~dealrec.effort.scoring.score_effort`.
        DealrecError: ``non_finite_score`` if a loss is not finite.
        Cancelled: ``reporter`` cancelled the run between batches.
    """
    started = time.perf_counter()
    runtime = runtime or Runtime()
    device = apply_runtime(runtime.on_one_thread())
    loaded = load_language_model(config.model, dtype=config.dtype, device=device, reporter=reporter)
    prompted = Prompter(dataset, samples, prompt).prompt
    answers = samples.targets if samples.given is None else np.arange(len(samples))
    _, first, of_sample = np.unique(answers, return_index=True, return_inverse=True)

    def losses(texts: Callable[[int], PromptedSample], count: int, name: str) -> Float32:
        return answer_losses(
            loaded,
            texts,
            count,
            config,
            identity=[dataset.sha256, samples.unit.value, prompt.model_dump(mode="json"), name],
            runtime=runtime,
            checkpoint_dir=None if checkpoint_dir is None else checkpoint_dir / name,
            reporter=reporter,
            pieces=pieces,
        )

    alone = losses(lambda index: prompted(int(first[index])).without_history(), len(first), "alone")
    after = losses(prompted, len(samples), "after")
    diagnostics = {
        **loaded.identity,
        "dtype": config.dtype,
        "samples": len(samples),
        "targets": len(first),
        "seconds": time.perf_counter() - started,
    }
    return FollowingScores(
        after.astype(np.float64), alone[of_sample].astype(np.float64), diagnostics
    )


def answer_losses(
    loaded: LoadedLanguageModel,
    prompted: Callable[[int], PromptedSample],
    count: int,
    config: IfdConfig,
    *,
    identity: object = None,
    runtime: Runtime | None = None,
    checkpoint_dir: Path | None = None,
    reporter: Reporter = SILENT,
    pieces: int = 1,
) -> Float32:
    """Compute the [n] mean loss of the answer's tokens in nats, of ``prompted(0)`` to ``prompted(n - 1)``.

    ``identity`` (JSON) identifies the texts in checkpoints. The other arguments and the errors are those
    of :func:`~dealrec.language_models.vectors.vectors_of`.
    """
    encoder = Encoder.for_model(loaded, config.max_tokens)
    plan = plan_batches(encoder, prompted, count, config, identity=identity, reporter=reporter)
    longest = int(plan.tokens.max(initial=0))
    measures = [
        _mean_losses(one, plan.prefix, longest)
        for one in side_by_side(loaded, runtime, plan.batches, pieces)
    ]
    return vectors_of(
        plan,
        prompted,
        encoder,
        measures,
        1,
        made_with={**loaded.identity, "dtype": config.dtype, "what": "mean losses of answers"},
        checkpoint_dir=checkpoint_dir,
        reporter=reporter,
        pieces=pieces,
    )[:, 0]


def _mean_losses(loaded: LoadedLanguageModel, prefix: Sequence[int], longest: int) -> Measure:
    """Return the function that computes the [b, 1] mean losses of the samples' answers."""
    structure = find_structure(loaded.model)
    reuse = reuse_prefix(loaded.model, structure, prefix, longest)
    decoder = reuse if isinstance(reuse, PrefixReuse) else structure
    pad = loaded.tokenizer.pad_token_id or 0

    def mean_losses(samples: Sequence[EncodedSample]) -> Tensor:
        tokens = padded(samples, pad, loaded.device)
        targets = loss_targets(tokens, samples, LossSpan.ANSWER)
        with torch.no_grad():
            states = decoder.hidden_states(tokens)[targets.rows, targets.positions]
            found = nn.functional.cross_entropy(
                structure.logits(states).float(), targets.labels, reduction="none"
            )
        sums = found.new_zeros(len(samples), 1).index_add_(0, targets.rows, found[:, None])
        return sums / torch.bincount(targets.rows, minlength=len(samples))[:, None]

    return mean_losses
