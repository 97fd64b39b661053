"""Reports as self-contained HTML pages in one style, without scripts or network access."""

from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from dealrec.disk import written_whole


def write_page(out: Path, package: str, template: str, **facts: Any) -> None:
    """Write ``out`` from a template of ``package``; the file appears whole or not at all.

    The template extends ``page.html.j2`` and formats numbers with the filter ``figure``.
    """
    loaders = [PackageLoader(name) for name in dict.fromkeys((package, "dealrec.reports"))]
    environment = Environment(
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["figure"] = figure
    page = environment.get_template(template).render(**facts)
    with written_whole(out) as part:
        part.write_text(page, encoding="utf-8")


def figure(value: Any) -> str:
    """Format a number for people; ``None``, which does not apply, becomes an en dash."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return f"{value:.4g}"
