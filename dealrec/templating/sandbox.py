"""The environment in which templates run: every step is counted, and nothing but fields can be reached."""

import json
from collections.abc import Callable, Iterable, Iterator
from numbers import Real
from typing import Any

from jinja2 import StrictUndefined, Undefined, filters, pass_context, tests
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import _PassArg

from dealrec.templating.problems import TemplateProblem
from dealrec.templating.views import View

STEPS = 50_000
"""Steps of one rendering. A step is a node that a loop repeats, a value of a list that a filter reads, or a
hundred characters that are handled."""
CHARACTERS = 100_000
"""Characters of one text."""
_NUMBER = 10**15
_RANGE = 1000
_PRECISION = 10
_CHARACTERS_A_STEP = 100
_SLOW_CHARACTERS_A_STEP = 10
LOOP_FIELDS = frozenset(
    {"index", "index0", "first", "last", "length", "revindex", "revindex0", "previtem", "nextitem"}
)
"""What templates can read of ``loop``."""
BUDGET = "_budget"
"""The name of the budget among the variables; no template can name it."""


class Budget:
    """The steps that one rendering has left."""

    def __init__(self, steps: int = STEPS) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Take some steps; raises :class:`TemplateProblem` when none are left."""
        self._left -= steps
        if self._left < 0:
            raise TemplateProblem(
                f"takes more than {STEPS:,} steps for one sample; shorten its loops"
            )


class Sandbox(ImmutableSandboxedEnvironment):
    """Fields of views and of ``loop`` can be read, listed filters can be applied, ``range`` can be called."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            optimized=False,
            autoescape=False,
            keep_trailing_newline=True,
            trim_blocks=False,
            finalize=_written,
            cache_size=0,
        )
        self.filters = {**FILTERS}
        self.tests = {**TESTS}
        self.globals = {"range": _bounded_range}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Read a field, or a property of ``loop``."""
        if isinstance(obj, Undefined):
            return super().getattr(obj, attribute)
        if isinstance(obj, View):
            return obj.field(attribute)
        if isinstance(obj, LoopContext) and attribute in LOOP_FIELDS:
            return getattr(obj, attribute)
        kind = "text" if isinstance(obj, str) else "a value"
        raise TemplateProblem(
            f"asks for `.{attribute}` of {kind}; only fields of items, `target` and `user` can be "
            "read, and filters such as `|upper` replace methods"
        )

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Read a field by its name, or a place in a list."""
        if isinstance(obj, View) and isinstance(argument, str):
            return obj.field(argument)
        if isinstance(obj, list | tuple | str) and isinstance(argument, int):
            if -len(obj) <= argument < len(obj):
                return obj[argument]
            raise TemplateProblem(f"asks for place {argument} of a list with {len(obj)} values")
        return self.getattr(obj, str(argument)[:40])

    def call_filter(self, name: str, *args: Any, **options: Any) -> Any:
        """Apply a filter that ``map`` names; those that only checked templates get cannot be named."""
        if str(name).startswith("_"):
            raise TemplateProblem(f"uses the filter `{name[:40]}`, which cannot be used")
        return super().call_filter(name, *args, **options)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute with numbers; ``+`` joins texts as well."""
        context[BUDGET].spend(1)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return _joined(context, [left, right])
        if not (_is_number(left) and _is_number(right)):
            raise TemplateProblem(f"uses `{operator}` with something that is not a number")
        return _number(super().call_binop(context, operator, left, right))


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    if abs(value) > _NUMBER:
        raise TemplateProblem(f"computes a number above {_NUMBER:,}")
    return value


def text_of(value: object) -> str:
    """Return the text of a single value.

    Raises:
        TemplateProblem: The value is a list or is not defined.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, View):
        return value.words()
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, Undefined):
        return str(value)  # raises, and names what is missing
    raise TemplateProblem("writes a list as it is; write its values in a loop, or use `|join`")


def _sized(text: str) -> str:
    if len(text) > CHARACTERS:
        raise TemplateProblem(f"makes a text of more than {CHARACTERS:,} characters")
    return text


def _spend(context: Context, *texts: object, characters: int = _CHARACTERS_A_STEP) -> None:
    """Pay for a call and for the characters of texts."""
    size = sum(len(text) for text in texts if isinstance(text, str))
    context[BUDGET].spend(1 + size // characters)


def _paid(context: Context, value: Any) -> Any:
    """Return the values of a list and pay for each; a value that is no list comes back as it is."""
    if not isinstance(value, list | tuple | range | Iterator):
        return value
    found = list(value)
    context[BUDGET].spend(len(found))
    for one in found:
        if not _is_single(one):
            raise TemplateProblem("puts a list into another; `|length` says how many values it has")
    _spend(context, *found)
    return found


def _is_single(value: object) -> bool:
    return isinstance(value, str | bool | int | float | View | Undefined | None)


@pass_context
def _written(context: Context, value: object) -> str:
    text = text_of(value)
    _spend(context, text)
    return text


@pass_context
def _joined(
    context: Context, values: Iterable[Any], d: str = "", attribute: str | None = None
) -> str:
    values = _paid(context, values)
    if attribute is not None:
        values = [context.environment.getitem(value, attribute) for value in values]
    between, texts, size = text_of(d), [], 0
    for value in values:
        texts.append(text_of(value))
        size += len(texts[-1]) + len(between)
        if size > CHARACTERS + len(between):
            _sized(" " * (CHARACTERS + 1))
    _spend(context, "", *texts)
    return _sized(between.join(texts))


@pass_context
def _loop(context: Context, values: Any, cost: int) -> list[Any]:
    """Return the values of a loop, and pay for all of its turns."""
    found = _values(values)
    context[BUDGET].spend(1 + cost * len(found))
    return found


def _values(values: Any) -> list[Any]:
    if isinstance(values, Undefined):
        values = iter(values)  # raises, and names what is missing
    if not isinstance(values, list | tuple | range | Iterator):
        raise TemplateProblem("loops over something that is not a list")
    return list(values)


@pass_context
def _scalar(context: Context, value: Any) -> Any:
    """Return a value that is no list."""
    if not _is_single(value):
        raise TemplateProblem(
            "compares a list, or puts one into another; `|length` says how many values it has"
        )
    _spend(context, value)
    return value


@pass_context
def _searched(context: Context, value: Any) -> Any:
    """Return a text or a list in which something is looked for."""
    _spend(context, value)
    return _paid(context, value)


@pass_context
def _replace(context: Context, value: object, old: object, new: object, count: int = -1) -> str:
    text, before, after = text_of(value), text_of(old), text_of(new)
    _spend(context, text)
    if len(text) + (text.count(before) + 1) * len(after) > 2 * CHARACTERS:
        _sized(" " * (CHARACTERS + 1))
    return _sized(text.replace(before, after, count))


def _quoted(value: object) -> str:
    """Put a text into double quotes; those inside become single quotes, so that its end is clear."""
    text = text_of(value).replace('"', "'")
    return f'"{text}"'


def _json(value: object) -> str:
    if isinstance(value, list | tuple | Iterator):
        return json.dumps([_plain(one) for one in value], ensure_ascii=False)
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else text_of(value)


def _round(value: Any, precision: int = 0) -> Any:
    if not _is_number(value) or not 0 <= precision <= _PRECISION:
        raise TemplateProblem(
            f"rounds something that is not a number, or to more than {_PRECISION} digits"
        )
    return round(value, precision)


@pass_context
def _sum(context: Context, values: Iterable[Any], attribute: str | None = None) -> Any:
    total: Any = 0
    for value in values:
        if attribute is not None:
            value = context.environment.getitem(value, attribute)  # noqa: PLW2901 - the field stands for it
        if not _is_number(value):
            raise TemplateProblem("uses `|sum` with something that is not a number")
        total = _number(total + value)
    return total


def _bounded_range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > _RANGE:
        raise TemplateProblem(f"uses a range of more than {_RANGE:,} numbers")
    return found


def _charged(
    function: Callable[..., Any],
    *,
    of_lists: bool = False,
    whole: bool = True,
    characters: int = _CHARACTERS_A_STEP,
) -> Callable[..., Any]:
    """Make every call of a filter of Jinja2 cost what it handles, and bound what it gives.

    Args:
        function: The filter.
        of_lists: Whether it takes lists only; a text would be a list of characters.
        whole: Whether it looks at every value of a list.
        characters: How many characters of a text are a step.
    """
    wants = _PassArg.from_obj(function)

    @pass_context
    def run(context: Context, value: Any, *args: Any, **options: Any) -> Any:
        if of_lists and isinstance(value, str):
            raise TemplateProblem("uses a text where a filter needs a list")
        _spend(context, value, *args, characters=characters)
        value = _paid(context, value) if whole else value
        given: dict[Any, list[Any]] = {
            _PassArg.context: [context],
            _PassArg.eval_context: [context.eval_ctx],
            _PassArg.environment: [context.environment],
        }
        found = function(*given.get(wants, []), value, *args, **options)
        if isinstance(found, Iterator):
            return list(found)
        if isinstance(found, str):
            return _sized(found)
        return _number(found) if _is_number(found) else found

    return run


def _of_values(function: Any) -> Callable[..., Any]:
    """Let a test or a filter take single values only."""

    def run(*values: Any) -> Any:
        if any(isinstance(value, list | tuple) for value in values):
            raise TemplateProblem("compares a list")
        return function(*values)

    return run


_OF_TEXTS = ("abs", "capitalize", "float", "int", "lower", "reverse", "truncate", "upper")
_SLOW = ("title", "trim", "wordcount")
_OF_LISTS = (
    *("map", "max", "min", "reject", "rejectattr", "select", "selectattr", "sort", "unique"),
)
_OF_ENDS = ("default", "first", "last", "length")
LOOP, SCALAR, SEARCHED, JOINED = "_loop", "_scalar", "_searched", "_joined"
"""Filters that checked templates get; none can be written in one."""
FILTERS: dict[str, Any] = {
    **{name: _charged(filters.FILTERS[name]) for name in _OF_TEXTS},
    **{name: _charged(filters.FILTERS[name], characters=_SLOW_CHARACTERS_A_STEP) for name in _SLOW},
    **{name: _charged(filters.FILTERS[name], of_lists=True) for name in _OF_LISTS},
    **{name: _charged(filters.FILTERS[name], whole=False) for name in _OF_ENDS},
    "count": _charged(filters.FILTERS["length"], whole=False),
    "d": _charged(filters.FILTERS["default"], whole=False),
    "join": _joined,
    "quoted": _charged(_quoted),
    "replace": _replace,
    "round": _charged(_round),
    "string": _charged(text_of),
    "sum": _charged(_sum),
    "tojson": _charged(_json),
    LOOP: _loop,
    SCALAR: _scalar,
    SEARCHED: _searched,
    JOINED: _joined,
}
_COMPARING = ("!=", "<", "<=", "==", ">", ">=", "eq", "equalto", "ge", "greaterthan", "gt", "le")
TESTS: dict[str, Any] = {
    **{
        name: tests.TESTS[name]
        for name in ("defined", "none", "number", "string", "undefined", "boolean")
    },
    **{
        name: _of_values(tests.TESTS[name])
        for name in (*_COMPARING, "lessthan", "lt", "ne", "odd", "even", "divisibleby")
    },
}
SANDBOX = Sandbox()
