"""Tries templates on invented samples, so that what is wrong with them is said before anything runs."""

from functools import lru_cache

from dealrec.templating.problems import TemplateProblem
from dealrec.templating.template import PromptTemplate, prompt_template
from dealrec.templating.views import ASKED, CHOICE, View, asked_view, no_field, user_view

REQUEST = ("history", "target", "user", "noun")
"""The variables of a request."""
ANSWER = ("target", "noun")
SYSTEM = ("user", "noun")
ANSWER_CHARACTERS = 4000
"""The most characters of an answer."""
ONE_FOR_ALL = (
    "the answer of an item must be the same for every user so that the catalogue can be ranked, so it "
    "can only use `target` and `noun`"
)
"""Why an answer cannot depend on a history."""
_TRIED = {
    "rating": 4.0,
    "days": 3,
    "time": "2024-05-01",
    "ago": "3 days ago",
    "later": "3 days later",
}


class _Tried(View):
    """An item that has every field; ``of_choice`` says whether those of a user's choice, too."""

    def __init__(self, title: str, *, of_choice: bool) -> None:
        self._title, self._of_choice = title, of_choice

    def field(self, name: str) -> object:
        """See :meth:`View.field`."""
        if name in CHOICE and not self._of_choice:
            raise TemplateProblem(f"uses `target.{name}`; {ONE_FOR_ALL}")
        if name.startswith("__"):
            raise no_field("an item", name, ["title", "id", "the other texts of the items file"])
        return _TRIED.get(name, self._title if name == "title" else "text")

    def words(self) -> str:
        """See :meth:`View.words`."""
        return self._title


def request_template(source: str) -> PromptTemplate:
    """Return the template of a request; raises :class:`TemplateProblem`."""
    return prompt_template(source, REQUEST, "history")


def answer_template(source: str) -> PromptTemplate:
    """Return the template of an answer; raises :class:`TemplateProblem`."""
    return prompt_template(source, ANSWER, "target", ONE_FOR_ALL)


def system_template(source: str) -> PromptTemplate:
    """Return the template of the system's turn; raises :class:`TemplateProblem`."""
    return prompt_template(source, SYSTEM)


@lru_cache(maxsize=256)
def require_usable(part: str, source: str, history_items: int, title_characters: int) -> None:
    """Try a template on samples with one item and with ``history_items`` items.

    Args:
        part: ``template`` (of the request), ``answer`` or ``system``.
        source: Its text.
        history_items: The most items of a history.
        title_characters: The most characters of a title.

    Raises:
        TemplateProblem: It cannot be used.
    """
    user, noun = user_view("user-1"), "item"
    match part:
        case "template":
            template = request_template(source)
            if not template.uses_marked:
                raise TemplateProblem(
                    "is neither the name of a prompt (plain, bigrec or chat) nor a template that uses "
                    "`history`"
                )
            target = asked_view({name: _TRIED[name] for name in ASKED})
            for count in {1, history_items}:
                history = [_Tried(f"Title {number}", of_choice=True) for number in range(count)]
                template.render({"history": history, "target": target, "user": user, "noun": noun})
        case "answer":
            template = answer_template(source)
            if not template.uses_marked:
                raise TemplateProblem(
                    "never uses `target`, so all items would have the same answer"
                )
            item = _Tried(
                "word " * (title_characters // 5) + "words"[: title_characters % 5], of_choice=False
            )
            require_answer(template.render({"target": item, "noun": noun}))
        case _:
            system_template(source).render({"user": user, "noun": noun})


def require_answer(text: str) -> str:
    """Return an answer that is neither empty nor too long; raises :class:`TemplateProblem`."""
    if not text.strip():
        raise TemplateProblem("makes an empty answer, from which nothing can be learned")
    if len(text) > ANSWER_CHARACTERS:
        raise TemplateProblem(f"makes an answer of more than {ANSWER_CHARACTERS:,} characters")
    return text
