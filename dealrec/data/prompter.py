"""Puts the samples of a data set into words."""

import re
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pyarrow as pa

from dealrec.config import PromptConfig
from dealrec.config.prompt import prompt_not_possible
from dealrec.data.dataset import Dataset, Int32
from dealrec.data.given import GivenSamples
from dealrec.data.prompt_views import ItemTexts, SampleViews, cut_at_word
from dealrec.data.prompts import Message, PromptedSample, Role
from dealrec.data.samples import Samples
from dealrec.data.texts import recorded_sample
from dealrec.templating.problems import TemplateProblem
from dealrec.templating.trial import (
    answer_template,
    request_template,
    require_answer,
    system_template,
)


class Prompter:
    """Puts samples into words, the same for everything that reads them.

    Samples that came with the data have words of their own, which stand as they are.

    Raises:
        InputError: ``prompt_not_possible`` where a template asks for what the data set does not have.
    """

    def __init__(self, dataset: Dataset, samples: Samples, config: PromptConfig) -> None:
        self._words: _Words
        if samples.given is not None:
            self._words = _Given(samples.given, config)
        else:
            kind = _Plain if config.is_plain else _Templated
            self._words = kind(dataset, samples, config)

    def prompt(self, index: int) -> PromptedSample:
        """Put the sample with the dense index ``index`` into words."""
        return self._words.prompt(index)


class _Words(Protocol):
    def prompt(self, index: int) -> PromptedSample: ...


class _Given:
    """The words that came with the data."""

    def __init__(self, given: GivenSamples, config: PromptConfig) -> None:
        self._texts, self._format = given.texts, config.format

    def prompt(self, index: int) -> PromptedSample:
        """See :meth:`Prompter.prompt`."""
        return replace(recorded_sample(self._texts[index].as_py()), format=self._format)


class _Plain:
    """The words of version 0.1.0.

    Double quotes inside a title become single quotes, so that the end of a quoted title is clear.
    """

    def __init__(self, dataset: Dataset, samples: Samples, config: PromptConfig) -> None:
        self._titles, self._samples, self._config = dataset.titles, samples, config
        noun = config.item_noun
        self._instruction = (
            f"Here is what a user chose, oldest first. Name the {noun} that comes next."
        )

    def prompt(self, index: int) -> PromptedSample:
        """See :meth:`Prompter.prompt`."""
        history = self._samples.history(index, self._config.history_items)
        target = self._samples.items[self._samples.target[index]]
        *before, last = self._titles.take(pa.array([*history, target])).to_pylist()
        return PromptedSample.plain(
            self._instruction,
            ", ".join(quoted(shown_title(title, self._config)) for title in before),
            quoted(shown_title(last, self._config)),
            format=self._config.format,
        )


class _Templated:
    """The words of templates; the gap before an answer is the space that they have there, or else one."""

    def __init__(self, dataset: Dataset, samples: Samples, config: PromptConfig) -> None:
        wording = config.wording
        self._config, self._samples = config, samples
        self._request, self._system = request_template(wording.template), None
        if wording.system:
            self._system = system_template(wording.system)
        self._answers = AnswerWriter(dataset, config)
        self._views = SampleViews(dataset, samples, config)

    def prompt(self, index: int) -> PromptedSample:
        """See :meth:`Prompter.prompt`."""
        noun, earlier = self._config.item_noun, tuple[Message, ...]()
        try:
            variables = self._views.variables(index)
            before, history, after = self._request.parts({**variables, "noun": noun})
            if self._system is not None:
                said = self._system.render({"user": variables["user"], "noun": noun})
                earlier = (Message(Role.SYSTEM, said),)
        except TemplateProblem as problem:
            raise prompt_not_possible("template", str(problem)) from None
        answer = self._answers.text(int(self._samples.targets[index]))
        output = answer.strip()
        gap = answer[: len(answer) - len(answer.lstrip())]
        if after or not history:
            kept = after.rstrip(" ")
            gap, after = after[len(kept) :] + gap, kept
        if not gap and not (after or history or before)[-1:].isspace():
            gap = " "
        return PromptedSample(before, history, after, output, gap, earlier, self._config.format)


class AnswerWriter:
    """Writes the answer that each item gives, whoever is asked."""

    def __init__(self, dataset: Dataset, config: PromptConfig) -> None:
        self._template = answer_template(config.wording.answer)
        self._noun, self._items = config.item_noun, ItemTexts(dataset, config)

    def text(self, item: int) -> str:
        """Return the answer of a dense item; raises :class:`InputError` (``prompt_not_possible``)."""
        try:
            target = self._items.target(item)
            return require_answer(self._template.render({"target": target, "noun": self._noun}))
        except TemplateProblem as problem:
            raise prompt_not_possible("answer", str(problem)) from None


@dataclass(frozen=True)
class ShownTitles:
    """The answers that a catalogue gives: what a language model writes for each item.

    Items whose answers are equal, such as those whose titles are equal once they are cut, cannot be told
    apart.
    """

    texts: list[str]
    """[D] the different answers, as :attr:`PromptedSample.output` has them."""
    of_item: Int32
    """[I] the place in ``texts`` of each item's answer."""


def shown_titles(dataset: Dataset, config: PromptConfig) -> ShownTitles:
    """Make the answers of a catalogue, in alphabetical order (by the titles, where these are quoted)."""
    if config.is_plain:
        titles = [shown_title(title, config) for title in dataset.titles.to_pylist()]
        answers = {title: quoted(title) for title in sorted(set(titles))}
    else:
        writer = AnswerWriter(dataset, config)
        titles = [writer.text(item).strip() for item in range(dataset.n_items)]
        answers = {text: text for text in sorted(set(titles))}
    places = {title: place for place, title in enumerate(answers)}
    of_item = np.array([places[title] for title in titles], dtype=np.int32)
    return ShownTitles([*answers.values()], of_item)


def shown_title(title: str, config: PromptConfig) -> str:
    """Return a title as plain prompts show it: cut, and with single quotes inside."""
    return cut_at_word(title.replace('"', "'"), config.title_characters)


def quoted(title: str) -> str:
    """Return a title from :func:`shown_title` as plain prompts and answers have it."""
    return f'"{title}"'


def quoted_titles(text: str) -> list[str] | None:
    """Return the titles, with their quotes, of a history as :class:`Prompter` writes it.

    ``None`` if ``text`` is anything else.

    Examples:
        >>> quoted_titles('"Alien", "Dune, Part Two"')
        ['"Alien"', '"Dune, Part Two"']
        >>> quoted_titles("They saw Alien.") is None
        True
    """
    found = re.findall(r'"[^"]*"', text)
    return found if ", ".join(found) == text else None
