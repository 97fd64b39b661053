"""Embeds samples as hidden states of the language model."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from dealrec.config.embedding import EmbeddingConfig
from dealrec.config.runtime import Runtime
from dealrec.data.prompts import PromptedSample
from dealrec.language_models.batch_plan import BatchPlan
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.prefix import PrefixReuse, reuse_prefix
from dealrec.language_models.side_by_side import Measure, side_by_side
from dealrec.language_models.structure import find_structure
from dealrec.language_models.tokens import EncodedSample, Encoder, padded
from dealrec.language_models.vectors import vectors_of
from dealrec.progress import SILENT, Reporter
from dealrec.selection.vectors import Float32


def hidden_states(
    loaded: LoadedLanguageModel,
    plan: BatchPlan,
    prompted: Callable[[int], PromptedSample],
    config: EmbeddingConfig,
    skipped: int,
    *,
    runtime: Runtime | None = None,
    checkpoint_dir: Path | None = None,
    reporter: Reporter = SILENT,
    pieces: int = 1,
) -> Float32:
    """Compute [n, h] means of the final hidden states over each sample's tokens, answer included.

    The mean leaves out the first ``skipped`` tokens, with which all samples begin: attention is
    causal, so their states are the same for all samples. The other arguments and the errors are
    those of :func:`~dealrec.language_models.vectors.vectors_of`.
    """
    measures = [
        _mean_states(one, plan, skipped)
        for one in side_by_side(loaded, runtime, plan.batches, pieces)
    ]
    return vectors_of(
        plan,
        prompted,
        Encoder.for_model(loaded, config.max_tokens),
        measures,
        int(loaded.model.config.hidden_size),
        made_with={
            **loaded.identity,
            "dtype": config.dtype,
            "what": f"hidden states after {skipped} tokens",
        },
        checkpoint_dir=checkpoint_dir,
        reporter=reporter,
        pieces=pieces,
    )


def _mean_states(loaded: LoadedLanguageModel, plan: BatchPlan, skipped: int) -> Measure:
    """Return the function that computes the [b, h] mean states of samples."""
    structure = find_structure(loaded.model)
    reuse = reuse_prefix(loaded.model, structure, plan.prefix, int(plan.tokens.max(initial=0)))
    decoder = reuse if isinstance(reuse, PrefixReuse) else structure
    pad = loaded.tokenizer.pad_token_id or 0

    def mean_states(samples: Sequence[EncodedSample]) -> Tensor:
        tokens = padded(samples, pad, loaded.device)
        with torch.no_grad():
            states = decoder.hidden_states(tokens).float()
        ends = torch.tensor([len(sample) for sample in samples], device=loaded.device)
        places = torch.arange(tokens.shape[1], device=loaded.device)
        own = (places >= skipped) & (places < ends[:, None])
        return states.masked_fill(~own[:, :, None], 0).sum(1) / own.sum(1, keepdim=True).clamp(
            min=1
        )

    return mean_states
