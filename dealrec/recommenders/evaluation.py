"""A finished adapter, measured on held-out users."""

from pathlib import Path
from typing import Any

from dealrec.config import EvaluationConfig, PromptConfig
from dealrec.config.finetune import FinetuneConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.language_models.adapters import attach_adapter
from dealrec.language_models.loading import load_language_model
from dealrec.language_models.tokens import Encoder
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.examination import Examination
from dealrec.recommenders.held_out import SEEN_ITEMS, held_out_users
from dealrec.runtime import apply_runtime


def evaluate_adapter(
    dataset: Dataset,
    adapter: Path,
    prompt: PromptConfig,
    finetune: FinetuneConfig,
    evaluation: EvaluationConfig,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """The PEFT folder ``adapter``, beside the model without it.

    Args:
        dataset: Whose users are held out.
        adapter: What is measured.
        prompt: How samples are put into words.
        finetune: What the adapter was trained with; its model, type and text length are used.
        evaluation: Whom to ask, and what.
        runtime: Device and threads.
        reporter: Gets ``title`` of the catalogue, then a ``model`` of two: without the adapter, and with it.

    Returns:
        ``split``, ``users``, ``ranking_users``, ``protocol``; ``metrics`` and ``standard_errors`` (over
        users) by name as in :mod:`dealrec.comparison.results`, and ``untrained``, the metrics without
        the adapter.

    Raises:
        InputError: ``no_held_out_users``, ``adapter_not_usable``, and as
            :func:`~dealrec.language_models.loading.load_language_model`.
    """
    device = apply_runtime(runtime or Runtime())
    users = held_out_users(dataset, prompt, evaluation)
    loaded = load_language_model(
        finetune.model, dtype=finetune.dtype, device=device, reporter=reporter
    )
    encoder = Encoder.for_model(loaded, finetune.max_tokens)
    examination = Examination(loaded, dataset, users, evaluation, encoder, reporter=reporter)
    reporter.progress(0, 2, "model")
    untrained = examination.measure(on_part=lambda: reporter.progress(0, 2, "model"))
    adapted = attach_adapter(loaded, adapter)
    trained = examination.measure(adapter=adapted, on_part=lambda: reporter.progress(1, 2, "model"))
    reporter.progress(2, 2, "model")
    for name, value in trained.means.items():
        reporter.metric(name, value)
    return {
        "split": users.split.value,
        "users": len(users.prompts),
        "ranking_users": len(users.ranked),
        "protocol": SEEN_ITEMS,
        "metrics": trained.means,
        "standard_errors": trained.standard_errors,
        "untrained": untrained.means,
    }
