"""The budget: the number of samples, as a count or as a fraction of all."""

import json
from fractions import Fraction
from math import floor, isfinite
from numbers import Real
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from dealrec.errors import FieldError, InputError


def _judge(value: Any) -> int | float:
    """Read a count (integer >= 1) or a fraction (0 < b < 1) by its value: 2.0 is the count 2."""
    if not isinstance(value, int | float) and isinstance(value, Real):
        value = float(str(value))  # a number of NumPy, whose digits count as they are shown
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a budget must be a number")
    if isfinite(value) and value >= 1 and value == floor(value):
        return int(value)
    if 0 < value < 1:
        return float(value)
    raise ValueError(
        f"{value} is neither a whole number of at least 1 nor a fraction between 0 and 1"
    )


Budget = Annotated[int | float, BeforeValidator(_judge)]
_ADAPTER: TypeAdapter[int | float] = TypeAdapter(Budget)


def parse_budget(value: Any) -> int | float:
    """Read a budget from a number or from its text (``"1024"``, ``"0.02"``, ``"2%"``).

    Raises:
        InputError: ``invalid_budget``.

    Examples:
        >>> parse_budget("1024"), parse_budget("0.02"), parse_budget("2%"), parse_budget(2.0)
        (1024, 0.02, 0.02, 2)
    """
    if isinstance(value, str):
        try:
            value = _percent(value) if value.rstrip().endswith("%") else json.loads(value)
        except ValueError:
            value = None
    try:
        return _ADAPTER.validate_python(value)
    except ValidationError:
        message = "must be a whole number of at least 1, or a fraction between 0 and 1"
        raise InputError(
            f"{message.capitalize()}.",
            code="invalid_budget",
            title="The budget cannot be used",
            errors=[FieldError("budget", message)],
        ) from None


def _percent(text: str) -> float | None:
    """Read a share of less than all, which is never a count."""
    share = float(text.rstrip()[:-1])
    return float(f"{share / 100:.12g}") if 0 < share < 100 else None


def resolve_budget(requested: int | float, samples: int, *, location: str = "budget") -> int:
    """Turn a budget into a number of samples; a fraction gives ``max(1, floor(fraction * samples))``.

    The fraction is taken exactly as written: 0.29 of 100 is 29, despite floating-point rounding.

    Raises:
        InputError: ``budget_too_large`` at ``location`` when there are fewer samples than asked for.

    Examples:
        >>> resolve_budget(0.29, 100), resolve_budget(0.001, 100), resolve_budget(7, 100)
        (29, 1, 7)
    """
    if isinstance(requested, float):
        return max(1, floor(Fraction(str(requested)) * samples))
    if requested > samples:
        raise InputError(
            f"The budget is {requested:,} samples, but the data set has {samples:,}. Use a budget "
            f"of at most {samples:,}, or a share such as 2%.",
            code="budget_too_large",
            title="The budget is larger than the number of samples",
            errors=[FieldError(location, f"must be at most {samples}")],
        )
    return requested
