"""The parts of a data set that templates of prompts can read: items of a history, the target and the user."""

import math
from collections.abc import Callable, Mapping

import pyarrow as pa

from dealrec.config import PromptConfig
from dealrec.config.data import NO_TIMES
from dealrec.config.prompt import NO_RATINGS
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.data.times import date_of, spoken, unit_of
from dealrec.templating.problems import TemplateProblem
from dealrec.templating.trial import ONE_FOR_ALL
from dealrec.templating.views import (
    ASKED,
    CHOICE,
    View,
    asked_view,
    no_field,
    plain_text,
    user_view,
)

_OF_ITEM = "text:"
"""Stands before the name of a column that a field of another meaning has: ``item["text:rating"]``."""


def cut_at_word(text: str, limit: int) -> str:
    """Cut ``text`` to at most ``limit`` characters, at the end of a word where there is one."""
    if len(text) <= limit:
        return text
    whole = text[: limit + 1].rpartition(" ")[0].rstrip()
    return whole or text[:limit]


class ItemTexts:
    """The texts of items: ``title``, ``id``, and every other column of the items file by its name.

    A text that an item lacks is empty.
    """

    def __init__(self, dataset: Dataset, config: PromptConfig) -> None:
        self._titles, self._ids, self._texts = dataset.titles, dataset.item_ids, dataset.item_texts
        self._config = config

    def text(self, item: int, name: str) -> str:
        """Return a text of a dense item, cut; raises :class:`TemplateProblem` for an unknown name."""
        if name == "title":
            return self._cell(self._titles, item, self._config.title_characters)
        if name == "id":
            return plain_text(self._ids[item].as_py())
        column = self._texts.get(name.removeprefix(_OF_ITEM))
        if column is None:
            raise no_field("an item", name, ["title", "id", *self._texts])
        return self._cell(column, item, self._config.text_characters)

    def target(self, item: int) -> View:
        """Return what an answer sees of an item."""
        return _Item(self, item, _NO_CHOICE)

    def chosen(self, item: int, choice: Mapping[str, Callable[[], object]]) -> View:
        """Return what a request sees of an item of the history; ``choice`` finds its other fields."""
        return _Item(self, item, choice)

    def _cell(self, column: pa.Array, item: int, limit: int) -> str:
        return cut_at_word(plain_text(column[item].as_py() or ""), limit)


class _Item(View):
    __slots__ = ("_choice", "_item", "_texts")

    def __init__(
        self, texts: ItemTexts, item: int, choice: Mapping[str, Callable[[], object]]
    ) -> None:
        self._texts, self._item, self._choice = texts, item, choice

    def field(self, name: str) -> object:
        """See :meth:`View.field`."""
        found = self._choice.get(name)
        return self._texts.text(self._item, name) if found is None else found()

    def words(self) -> str:
        """See :meth:`View.words`."""
        return self._texts.text(self._item, "title")


def _refused(name: str) -> Callable[[], object]:
    def refuse() -> object:
        raise TemplateProblem(f"uses `target.{name}`; {ONE_FOR_ALL}")

    return refuse


_NO_CHOICE = {name: _refused(name) for name in CHOICE}


class SampleViews:
    """What a request sees of each sample.

    An item of the history has, beside its texts, ``rating`` and ``time`` (a date), ``days`` and ``ago``
    (``3 days ago``: before the target was chosen), and ``later`` (``3 days later``: after the item before
    it; empty for the first one).
    """

    def __init__(self, dataset: Dataset, samples: Samples, config: PromptConfig) -> None:
        self._dataset, self._samples, self._config = dataset, samples, config
        self._items = ItemTexts(dataset, config)
        self._day = samples.day
        self._unit = None if samples.times is None else unit_of(samples.times)

    def variables(self, index: int) -> dict[str, object]:
        """Return ``history``, ``target`` and ``user`` of the sample with the dense index ``index``."""
        samples = self._samples
        last = int(samples.target[index])
        first = max(int(samples.start[index]), last - self._config.history_items)
        history = [
            self._items.chosen(int(samples.items[place]), self._choice(place, first, last))
            for place in range(first, last)
        ]
        asked = self._choice(last, first, last)
        user = self._dataset.user_ids[int(samples.users[index])].as_py()
        return {
            "history": history,
            "target": asked_view({name: asked[name] for name in ASKED}),
            "user": user_view(user),
        }

    def _choice(self, place: int, first: int, last: int) -> dict[str, Callable[[], object]]:
        return {
            "rating": lambda: self._rating(place),
            "time": lambda: self._date(place),
            "days": lambda: int(self._days(place, last)),
            "ago": lambda: f"{spoken(self._days(place, last))} ago",
            "later": lambda: (
                "" if place == first else f"{spoken(self._days(place - 1, place))} later"
            ),
        }

    def _days(self, earlier: int, later: int) -> float:
        times = self._samples.times
        if times is None or self._day is None:
            raise TemplateProblem(_NO_DATES)
        return float(times[later] - times[earlier]) / self._day

    def _date(self, place: int) -> str:
        times = self._samples.times
        if times is None or self._unit is None:
            raise TemplateProblem(_NO_DATES)
        return date_of(int(times[place]), self._unit)

    def _rating(self, place: int) -> object:
        ratings = self._samples.ratings
        if ratings is None:
            raise TemplateProblem(NO_RATINGS)
        rating = float(ratings[place])
        if math.isnan(rating):
            return None
        return int(rating) if rating.is_integer() else round(rating, 6)


_NO_DATES = (
    f"uses times, which the data set does not have as dates. {NO_TIMES} a template without them"
)
