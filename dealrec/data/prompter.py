"""Puts the samples of a data set into words."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from dealrec.config import PromptConfig
from dealrec.data.dataset import Dataset, Int32
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import Samples


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
        sample = PromptedSample.plain(
            self._instruction,
            ", ".join(quoted(shown_title(title, self._config)) for title in before),
            quoted(shown_title(last, self._config)),
        )
        return replace(sample, format=self._config.format)


@dataclass(frozen=True)
class ShownTitles:
    """The answers that a catalogue gives: each item's title as a language model writes it.

    Titles that are equal once they are cut cannot be told apart, so they are one answer.
    """

    texts: list[str]
    """[D] the different answers, as :attr:`PromptedSample.output` has them."""
    of_item: Int32
    """[I] the place in ``texts`` of each item's answer."""


def shown_titles(dataset: Dataset, config: PromptConfig) -> ShownTitles:
    """Make the answers of a catalogue, in the alphabetical order of the titles."""
    texts = [shown_title(title, config) for title in dataset.titles.to_pylist()]
    different = sorted(set(texts))
    places = {text: place for place, text in enumerate(different)}
    of_item = np.array([places[text] for text in texts], dtype=np.int32)
    return ShownTitles([quoted(text) for text in different], of_item)


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
