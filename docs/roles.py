"""Shows the Sphinx roles of docstrings (``:class:`~a.b.C```) as plain code on the site."""

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`(~?)([\w.]+)`")


class Roles(griffe.Extension):
    """Rewrites every docstring before its page is made."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Griffe calls this for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(_code, obj.docstring.value)


def _code(role: re.Match[str]) -> str:
    """The last part alone where a tilde asks for it."""
    name = role[2].rpartition(".")[2] if role[1] else role[2]
    return f"`{name}`"
