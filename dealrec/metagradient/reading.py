"""Computes the vectors of titles, and represents samples and validation users as sequences of titles."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dealrec.config.finetune import FinetuneConfig
from dealrec.config.prompt import PromptConfig
from dealrec.config.runtime import Runtime
from dealrec.config.scales import FINETUNE, Scale
from dealrec.config.titles import TitlesConfig
from dealrec.data.dataset import Dataset
from dealrec.data.prompter import ShownTitles, shown_titles
from dealrec.data.samples import Samples, validation_samples
from dealrec.language_models.loading import load_language_model
from dealrec.metrics.preference import draw_candidates
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.encoder import EncoderRecommender
from dealrec.runtime import apply_runtime
from dealrec.selection.titles import NO_TITLE, AskedUsers, Int32, TitleTable


def read_titles(
    dataset: Dataset,
    samples: Samples,
    prompt: PromptConfig,
    config: TitlesConfig,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
    checkpoint_dir: Path | None = None,
) -> tuple[TitleTable, Mapping[str, object]]:
    """Compute the vectors of all titles like the recommender ``encoder``, and the samples as titles.

    The second result describes the run, as JSON. With a ``checkpoint_dir``, an interrupted run continues
    where it stopped.

    Raises:
        InputError: The errors of :func:`~dealrec.effort.scoring.score_effort`.
        Cancelled: ``reporter`` cancelled the run between batches.
    """
    started = time.perf_counter()
    device = apply_runtime((runtime or Runtime()).on_one_thread())
    loaded = load_language_model(config.model, dtype=config.dtype, device=device, reporter=reporter)
    shown = shown_titles(dataset, prompt)
    encoder = EncoderRecommender(
        loaded, _as_encoder(config), checkpoint_dir, config.batch_tokens, titles=shown
    )
    states = encoder.title_states(reporter).float().cpu().numpy()
    table = TitleTable(
        states,
        _histories(samples, shown, prompt.history_items),
        shown.of_item[samples.targets],
        _asked(dataset, shown, prompt, config),
    )
    return table, {
        **loaded.identity,
        "pooling": config.pooling.value,
        "titles": len(states),
        "dimension": states.shape[1],
        "samples": len(samples),
        "validation_users": 0 if table.validation is None else len(table.validation.histories),
        "seconds": time.perf_counter() - started,
    }


def _as_encoder(config: TitlesConfig) -> FinetuneConfig:
    """Return the configuration of an encoder over a frozen language model that reads titles one by one."""
    preset = FINETUNE[Scale.CPU]
    return preset.model_copy(
        update={
            "model": config.model,
            "dtype": config.dtype,
            "max_tokens": config.max_tokens,
            "encoder": preset.encoder.model_copy(update={"pooling": config.pooling}),
        }
    )


def _histories(samples: Samples, shown: ShownTitles, most: int) -> Int32:
    """Return the indices of the last titles of each history [n, k], as :attr:`TitleTable.histories`."""
    lengths = np.minimum(samples.history_lengths, most)
    columns = np.arange(max(1, int(lengths.max(initial=0))))
    there = columns < lengths[:, None]
    places = (samples.target - lengths)[:, None] + columns
    items = samples.items[np.where(there, places, 0)]
    return np.where(there, shown.of_item[items], NO_TITLE).astype(np.int32)


def _asked(
    dataset: Dataset, shown: ShownTitles, prompt: PromptConfig, config: TitlesConfig
) -> AskedUsers | None:
    """Return the validation users; their candidates are drawn from what these users chose."""
    asked = validation_samples(dataset, config.validation_users)
    if asked is None or len(asked) < 2:
        return None
    had = [
        dataset.items[dataset.offsets[user] : dataset.offsets[user + 1]]
        for user in asked.users.tolist()
    ]
    drawn = draw_candidates(asked.targets, had, shown.of_item, config.candidates, seed=0)
    if drawn.items.shape[1] < 2:
        return None  # all of them chose the same title
    return AskedUsers(_histories(asked, shown, prompt.history_items), shown.of_item[drawn.items])
