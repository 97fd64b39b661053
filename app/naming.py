"""The names that jobs and their results have until somebody gives them others."""

from typing import Annotated

from pydantic import StringConstraints

from dealrec.app.kit.schemas import Body
from dealrec.config.selection import SelectionMethod

LONGEST = 200
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST)]
"""A name for people, without spaces at its ends. Names need not differ."""
_DOT = " · "


class Rename(Body):
    """A request for another name."""

    name: Name


def selection_name(
    dataset: str, budget: float | None, method: SelectionMethod, target: float | None = None
) -> str:
    """Name a selection by its data set, its budget or target, and its method.

    Examples:
        >>> selection_name("games", 0.02, SelectionMethod.INFLUENCE_STRATA)
        'games · 2 % · influence strata'
        >>> selection_name("games", 1024, SelectionMethod.DEALREC)
        'games · 1,024 samples · dealrec'
    """
    if budget is None:
        size = f"{100 * (target or 1):.3g} % of full"
    elif budget < 1:
        size = f"{100 * budget:.3g} %"
    else:
        size = "1 sample" if budget == 1 else f"{budget:,.0f} samples"
    return _joined(dataset, size, method.value.replace("_", " "))


def adapter_name(coreset: str, model: str) -> str:
    """Name a training, and its adapter, by the coreset and the language model."""
    return _joined(coreset, model.rsplit("/", 1)[-1])


def comparison_name(dataset: str, selectors: int) -> str:
    """Name a comparison by its data set and the number of its selectors."""
    if selectors == 0:
        return _joined(dataset, "curve of budgets")
    return _joined(dataset, f"comparison of {selectors} selector{'s' if selectors > 1 else ''}")


def _joined(first: str, *rest: str) -> str:
    """Join the parts; where they are too long for a name, the first one is cut."""
    tail = "".join(f"{_DOT}{part}" for part in rest)
    return first[: max(0, LONGEST - len(tail))] + tail[-LONGEST:]
