"""A finished adapter is measured on held-out users."""

from dataclasses import dataclass
from pathlib import Path

from dealrec.config import EvaluationConfig, PromptConfig
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.language_models.adapters import attach_adapter
from dealrec.language_models.loading import load_language_model
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.held_out import SEEN_ITEMS, held_out_users
from dealrec.recommenders.registry import make_recommender
from dealrec.runtime import apply_runtime


@dataclass(frozen=True)
class AdapterEvaluation:
    """The metrics of a language model with an adapter and without it.

    Metrics are named as in :mod:`dealrec.comparison.results`.
    """

    split: str
    """``valid`` or ``test``."""
    users: int
    candidates: int
    """The number of candidates per user; 1 if preference was left out."""
    familiar_candidates: int
    """The number of candidates, over all users, that the user had already chosen before, because there
    were not enough others; 0 unless the data set is tiny."""
    ranking_users: int
    protocol: str
    """How the ranking treats items that a user was seen with, in a sentence."""
    metrics: dict[str, float]
    """Means over users, with the adapter."""
    standard_errors: dict[str, float]
    """Standard errors of ``metrics``, over users."""
    untrained: dict[str, float]
    """Means over users, without the adapter."""


def evaluate_adapter(
    dataset: Dataset,
    adapter: Path,
    prompt: PromptConfig,
    finetune: FinetuneConfig,
    evaluation: EvaluationConfig,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> AdapterEvaluation:
    """Measure the PEFT folder ``adapter``, and the language model without it.

    Args:
        dataset: Its users are held out.
        adapter: The folder that is measured.
        prompt: How samples are put into words.
        finetune: How the adapter was trained. Its model, type and text length are used.
        evaluation: Which users are asked, and for what.
        runtime: Device and threads.
        reporter: It gets ``title`` of the catalogue, and then ``model`` of two: first the model
            without the adapter, then the model with it.

    Raises:
        InputError: ``no_held_out_users``, ``adapter_not_usable``, and as
            :func:`~dealrec.language_models.loading.load_language_model`.
    """
    device = apply_runtime(runtime or Runtime())
    users = held_out_users(dataset, prompt, evaluation)
    loaded = load_language_model(
        finetune.model,
        dtype=finetune.dtype,
        device=device,
        quantization=finetune.quantization,
        reporter=reporter,
    )
    recommender = make_recommender(
        loaded, finetune, batch_tokens=evaluation.batch_tokens, titles=users.titles
    )
    examination = recommender.examination(dataset, users, evaluation, reporter=reporter)
    recommender.keep(examination.texts, reporter)
    reporter.progress(0, 2, "model")
    untrained = examination.measure(on_part=lambda: reporter.progress(0, 2, "model"))
    adapted = attach_adapter(loaded, adapter)
    recommender.load_head(adapter)
    trained = examination.measure(adapted, on_part=lambda: reporter.progress(1, 2, "model"))
    reporter.progress(2, 2, "model")
    for name, value in trained.means.items():
        reporter.metric(name, value)
    return AdapterEvaluation(
        split=users.split.value,
        users=len(users.prompts),
        candidates=users.candidates.shape[1],
        familiar_candidates=users.familiar_candidates,
        ranking_users=len(users.ranked),
        protocol=SEEN_ITEMS,
        metrics=trained.means,
        standard_errors=trained.standard_errors,
        untrained=untrained.means,
    )
