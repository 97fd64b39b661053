"""Prompts as a language model reads them, before anything is scored or trained."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dealrec.config import DataOptions, FinetuneConfig, PruneConfig
from dealrec.config.data import data_options
from dealrec.config.prompt import PromptFormat
from dealrec.data.preview import KeyedSample, ReadText, previewed
from dealrec.data.samples import build_samples
from dealrec.language_models.preview import read_texts
from dealrec.progress import SILENT, Reporter
from dealrec.sources import Source, source_files
from dealrec.stages.ingest import ingest_files

_MODEL: str = FinetuneConfig.model_fields["model"].default
_MAX_TOKENS: int = FinetuneConfig.model_fields["max_tokens"].default


@dataclass(frozen=True)
class PromptPreview:
    """Some samples of a data set as a language model reads them."""

    format: PromptFormat
    """``chat`` where the model's chat template marks the turns, else ``plain``."""
    samples: list[KeyedSample]
    """From the one with the longest history to the one with the shortest."""
    texts: list[ReadText]
    """The same as the model reads them."""


def preview_prompt(
    interactions: Source | None = None,
    *,
    items: Source | None = None,
    samples: Source | None = None,
    config: PruneConfig | Mapping[str, Any] | None = None,
    data: DataOptions | Mapping[str, Any] | None = None,
    model: str = _MODEL,
    max_tokens: int = _MAX_TOKENS,
    count: int = 3,
    reporter: Reporter = SILENT,
) -> PromptPreview:
    """Show ``count`` samples in the words of ``config.prompt``, or as ready texts. Nothing is stored.

    Args:
        interactions: As for :func:`dealrec.prune`.
        items: The catalogue.
        samples: Samples with words of their own.
        config: Options of a job, of which ``prompt``, ``sampling`` and ``min_history`` are read.
        data: How the files become a data set.
        model: The language model whose tokens are counted. Its weights are not loaded.
        max_tokens: The largest number of tokens of a text.
        count: The number of samples to show.
        reporter: Gets the progress of reading the files.

    Raises:
        InputError: The data or the prompt cannot be used, and as
            :func:`dealrec.language_models.preview.read_texts`.
    """
    asked = config if isinstance(config, PruneConfig) else PruneConfig.parse(dict(config or {}))
    options = data_options(data)
    with (
        tempfile.TemporaryDirectory(prefix="dealrec-") as scratch,
        source_files(interactions, items, options, samples) as files,
    ):
        dataset = ingest_files(files, Path(scratch) / "dataset", reporter).dataset
    shown = previewed(
        dataset, build_samples(dataset, asked.sampling, asked.min_history), asked.prompt, count
    )
    answer = read_texts([one.sample for one in shown], model, max_tokens)
    return PromptPreview(answer.format, shown, answer.texts)
