"""Samples in words: the instruction, input and output that the language model reads."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dealrec.config import PromptConfig
from dealrec.data.dataset import Dataset, Int32
from dealrec.data.samples import Samples


@dataclass(frozen=True)
class PromptedSample:
    """One sample in words."""

    instruction: str
    """The task; the same for every sample of a data set."""
    input: str
    """The quoted titles of the history, oldest first."""
    output: str
    """The target's quoted title."""


class Prompter:
    """Puts samples into words.

    Double quotes inside a title become single quotes, so that the end of a quoted title is clear.
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
        """Put the sample with the dense index ``index`` into words."""
        history = self._samples.history(index, self._config.history_items)
        target = self._samples.items[self._samples.target[index]]
        *before, last = self._titles.take(pa.array([*history, target])).to_pylist()
        return PromptedSample(
            instruction=self._instruction,
            input=", ".join(quoted(shown_title(title, self._config)) for title in before),
            output=quoted(shown_title(last, self._config)),
        )


@dataclass(frozen=True)
class ShownTitles:
    """The titles of a catalogue as a language model reads and writes them.

    Titles that are equal once they are cut cannot be told apart, so they are one title.
    """

    texts: list[str]
    """[D] the different titles, without quotes around them, in alphabetical order."""
    of_item: Int32
    """[I] the place in ``texts`` of each item's title."""


def shown_titles(dataset: Dataset, config: PromptConfig) -> ShownTitles:
    """Cut the catalogue's titles as :class:`Prompter` cuts those of prompts and answers."""
    texts = [shown_title(title, config) for title in dataset.titles.to_pylist()]
    different = sorted(set(texts))
    places = {text: place for place, text in enumerate(different)}
    return ShownTitles(different, np.array([places[text] for text in texts], dtype=np.int32))


def shown_title(title: str, config: PromptConfig) -> str:
    """Return a title as prompts show it: cut, and with single quotes inside."""
    return cut_at_word(title.replace('"', "'"), config.title_characters)


def quoted(title: str) -> str:
    """Return a title from :func:`shown_title` as prompts and answers have it."""
    return f'"{title}"'


def cut_at_word(text: str, limit: int) -> str:
    """Cut ``text`` to at most ``limit`` characters, at the end of a word where there is one."""
    if len(text) <= limit:
        return text
    whole = text[: limit + 1].rpartition(" ")[0].rstrip()
    return whole or text[:limit]


def render(sample: PromptedSample) -> tuple[str, str]:
    """Make the prompt and the answer, in the one format of effort, fine-tuning and generation.

    The prompt begins with the instruction, which all samples of a data set share. The answer begins
    with the space that separates the two.

    Examples:
        >>> prompt, answer = render(PromptedSample("Name the next film.", '"Alien", "Brazil"', '"Dune"'))
        >>> print(prompt + answer)
        Name the next film.
        "Alien", "Brazil"
        Next: "Dune"
    """
    lines = [sample.instruction, sample.input] if sample.input else [sample.instruction]
    return "\n".join([*lines, "Next:"]), f" {sample.output}"
