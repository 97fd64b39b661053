"""How results look in a notebook: a small table of facts, without scripts and styles of its own."""

from collections.abc import Mapping, Sequence
from html import escape


def facts_html(
    title: str, facts: Mapping[str, object], rows: Sequence[Sequence[object]] = ()
) -> str:
    """HTML of a title, of facts by name, and of a table whose first row is its head.

    Everything is escaped: names and titles come from the data. Facts that are ``None`` are left out.
    """
    told = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value is not None
    )
    table = "".join(_row(row, "th" if place == 0 else "td") for place, row in enumerate(rows))
    return f"<p><b>{escape(title)}</b></p><table>{told}</table>" + (
        f"<table>{table}</table>" if table else ""
    )


def _row(cells: Sequence[object], tag: str) -> str:
    shown = (f"<{tag} style='text-align:left'>{escape(str(cell))}</{tag}>" for cell in cells)
    return f"<tr>{''.join(shown)}</tr>"


def coreset_facts(
    size: int, method: object, users: int, items: int, strata: tuple[int, int], sha256: str
) -> dict[str, object]:
    """The facts about a coreset that every display of one begins with; ``strata`` are used and all."""
    used, cut = strata
    return {
        "samples": f"{size:,}",
        "selector": method,
        "users and items": f"{users:,} users, {items:,} items" if items else None,
        "strata": f"{used:,} of {cut:,} give samples" if cut > 1 else None,
        "sha256": sha256,
    }
