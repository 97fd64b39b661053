"""Templates that are ready to run."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from jinja2 import Template, TemplateError

from dealrec.templating.language import check
from dealrec.templating.problems import TemplateProblem
from dealrec.templating.sandbox import BUDGET, CHARACTERS, SANDBOX, Budget
from dealrec.templating.views import HISTORY


class Rendered(NamedTuple):
    """The words of a template: up to the marked variable, of it, and behind it."""

    before: str
    marked: str
    after: str


class PromptTemplate:
    """A template over some variables.

    Args:
        source: Its text.
        names: The variables.
        marked: The variable whose words are told from the others.
        why: Why no other variables can be used, where that is not plain.

    Raises:
        TemplateProblem: It cannot be used.

    Examples:
        >>> template = PromptTemplate("{{ noun|upper }}?", ("noun",))
        >>> template.render({"noun": "book"})
        'BOOK?'
    """

    def __init__(
        self, source: str, names: tuple[str, ...], *, marked: str | None = None, why: str = ""
    ) -> None:
        checked = check(source, names, marked=marked, why=why)
        self.uses_marked = checked.uses_marked
        """Whether it writes something of the marked variable."""
        self.fields = checked.fields
        """The names of the fields that it reads, as far as they are written in it."""
        try:
            code = SANDBOX.compile(checked.tree)
        except (TemplateError, SyntaxError, RecursionError, MemoryError):
            raise TemplateProblem("is too complicated") from None
        self._template = Template.from_code(SANDBOX, code, SANDBOX.globals)

    def render(self, variables: Mapping[str, Any]) -> str:
        """Return the words; raises as :meth:`parts`."""
        return "".join(self.parts(variables))

    def parts(self, variables: Mapping[str, Any]) -> Rendered:
        """Return the words in three parts; all are ``before`` where nothing is marked.

        Raises:
            TemplateProblem: With these variables it fails, takes too long, or makes too long a text.
        """
        text = self._words(variables)
        before, _, rest = text.partition(HISTORY[0])
        marked, _, after = rest.partition(HISTORY[1])
        return Rendered(before, marked, after)

    def _words(self, variables: Mapping[str, Any]) -> str:
        pieces, size = [], 0
        try:
            for piece in self._template.generate({**variables, BUDGET: Budget()}):
                pieces.append(piece)
                size += len(piece)
                if size > CHARACTERS:
                    raise TemplateProblem(
                        f"makes more than {CHARACTERS:,} characters for one sample"
                    )
        except TemplateProblem:
            raise
        except TemplateError as error:
            raise TemplateProblem(f"fails: {(error.message or '').rstrip('.')}") from None
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise TemplateProblem(f"fails: {str(error).rstrip('.')}") from None
        return "".join(pieces)


@lru_cache(maxsize=64)
def prompt_template(
    source: str, names: tuple[str, ...], marked: str | None = None, why: str = ""
) -> PromptTemplate:
    """Make a template, or return the one that was made before; as :class:`PromptTemplate`."""
    return PromptTemplate(source, names, marked=marked, why=why)
