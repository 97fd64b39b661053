"""Samples in words: instruction, input and output, as the language model reads them."""

from dataclasses import dataclass

import pyarrow as pa

from dealrec.config import PromptConfig
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples


@dataclass(frozen=True)
class PromptedSample:
    """One sample in words."""

    instruction: str
    """What to do; the same for every sample of a data set."""
    input: str
    """The history, oldest first: quoted titles."""
    output: str
    """The target's quoted title."""


class Prompter:
    """Puts samples into words.

    Double quotes inside a title become single ones, so that a quoted title ends where it ends.
    """

    def __init__(self, dataset: Dataset, samples: Samples, config: PromptConfig) -> None:
        self._titles = dataset.titles
        self._samples = samples
        self._config = config
        noun = config.item_noun
        self._instruction = (
            f"Here is what a user chose, oldest first. Name the {noun} that comes next."
        )

    def prompt(self, index: int) -> PromptedSample:
        """The sample with the dense index ``index``."""
        history = self._samples.history(index, self._config.history_items)
        target = self._samples.items[self._samples.target[index]]
        *before, last = self._titles.take(pa.array([*history, target])).to_pylist()
        return PromptedSample(
            instruction=self._instruction,
            input=", ".join(self._quoted(title) for title in before),
            output=self._quoted(last),
        )

    def _quoted(self, title: str) -> str:
        plain = title.replace('"', "'")
        return f'"{cut_at_word(plain, self._config.title_characters)}"'


def cut_at_word(text: str, limit: int) -> str:
    """At most ``limit`` characters of ``text``, without half a word at the end if there is a choice."""
    if len(text) <= limit:
        return text
    whole = text[: limit + 1].rpartition(" ")[0].rstrip()
    return whole or text[:limit]


def render(sample: PromptedSample) -> tuple[str, str]:
    """(prompt, answer): the one text format of effort, fine-tuning and generation.

    The prompt begins with the instruction, which all samples of a data set share; the answer begins
    with the space that separates the two.
    """
    lines = [sample.instruction, sample.input] if sample.input else [sample.instruction]
    return "\n".join([*lines, "Next:"]), f" {sample.output}"
