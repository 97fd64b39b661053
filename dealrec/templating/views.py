"""The parts of items and users that templates can read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping

from dealrec.templating.problems import TemplateProblem

HISTORY = ("\ue000", "\ue001")
"""Marks around the history in a rendered request; texts never hold them."""
ASKED = ("time", "later")
"""The fields of the target in a request."""
CHOICE = ("rating", "time", "days", "ago", "later")
"""The fields of an item of the history that say something of the user's choice."""
_LEFT_OUT = str.maketrans(dict.fromkeys(HISTORY))


class View(ABC):
    """Something with named fields, and nothing else that a template could reach."""

    __slots__ = ()

    @abstractmethod
    def field(self, name: str) -> object:
        """Return a field: text, a number, or ``None``.

        Raises:
            TemplateProblem: There is none of that name.
        """

    @abstractmethod
    def words(self) -> str:
        """Return the text that is written where the view itself is."""

    def __str__(self) -> str:
        return self.words()


def plain_text(text: str) -> str:
    """Return a text without the marks of :data:`HISTORY`."""
    return text.translate(_LEFT_OUT)


def no_field(what: str, name: str, known: Iterable[str], why: str = "") -> TemplateProblem:
    """Make the problem of a field that is not there."""
    return TemplateProblem(
        f"asks for `{name[:40]}`, which {what} does not have; it has {', '.join(known)}{why}"
    )


class FixedFields(View):
    """A view whose fields are known by name; a value may be a function that finds it."""

    __slots__ = ("_fields", "_what", "_why", "_words")

    def __init__(
        self,
        what: str,
        fields: Mapping[str, object | Callable[[], object]],
        *,
        words: str | None = None,
        why: str = "",
    ) -> None:
        self._what, self._fields, self._words, self._why = what, fields, words, why

    def field(self, name: str) -> object:
        """See :meth:`View.field`."""
        if name not in self._fields:
            raise no_field(self._what, name, self._fields, self._why)
        value = self._fields[name]
        return value() if callable(value) else value

    def words(self) -> str:
        """See :meth:`View.words`."""
        if self._words is None:
            listed = ", ".join(f"`{self._what}.{name}`" for name in self._fields)
            raise TemplateProblem(f"writes {self._what} itself; write one of {listed}{self._why}")
        return self._words


def user_view(user_id: str) -> View:
    """Return what templates see of a user."""
    return FixedFields("user", {"id": plain_text(user_id)}, words=plain_text(user_id))


def asked_view(fields: Mapping[str, object | Callable[[], object]]) -> View:
    """Return what a request sees of its target: when it was chosen, and nothing that is the answer."""
    why = ". Anything else of it would tell the language model the answer"
    return FixedFields("target", fields, why=why)
