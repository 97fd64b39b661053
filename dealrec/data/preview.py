"""Samples in words and in tokens, to look at before a language model reads them."""

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel

from dealrec.config import PromptConfig
from dealrec.config.prompt import PromptFormat
from dealrec.data.dataset import Dataset
from dealrec.data.prompter import Prompter
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import Samples
from dealrec.errors import InputError


@dataclass(frozen=True)
class KeyedSample:
    """A sample in words, and its key."""

    key: str
    sample: PromptedSample


def previewed(
    dataset: Dataset, samples: Samples, prompt: PromptConfig, count: int
) -> list[KeyedSample]:
    """Put ``count`` samples into words, from the one with the longest history to the shortest.

    Texts without ids are shown in their order.

    Raises:
        InputError: ``no_samples``; ``prompt_not_possible`` where the data lack what a template asks for.
    """
    if not len(samples):
        raise InputError(
            "The data set has no sample whose history is long enough. Lower `min_history`.",
            code="no_samples",
            title="There is nothing to show",
        )
    prompter, keys = Prompter(dataset, samples, prompt), samples.keys(dataset)
    by_length = np.argsort(-samples.history_lengths, kind="stable")
    places = np.linspace(0, len(by_length) - 1, min(count, len(by_length))).astype(np.int64)
    return [
        KeyedSample(keys[index].as_py(), prompter.prompt(index))
        for index in by_length[places].tolist()
    ]


class ReadText(BaseModel):
    """A sample as a language model reads it."""

    prompt: str
    """The text before the answer with all marks, less what is left out."""
    answer: str
    """The answer with the marks of its end. The loss is computed on these tokens only."""
    prompt_tokens: int
    answer_tokens: int
    left_out: str
    """The oldest words of the history, for which there is no room; usually empty."""
    left_out_tokens: int


class ReadRequest(BaseModel):
    """The samples that are to be tokenized, all of one format, for a model."""

    model: str
    max_tokens: int
    samples: list[PromptedSample]


class ReadAnswer(BaseModel):
    """The tokenized samples, or the problem document of what went wrong."""

    format: PromptFormat = PromptFormat.PLAIN
    """``chat`` where the model's chat template marks the turns."""
    texts: list[ReadText] = []
    problem: dict[str, object] | None = None
