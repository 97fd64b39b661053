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
"""Steps of one rendering. A step is a node that a loop repeats, or a hundred characters that are handled."""
CHARACTERS = 100_000
"""Characters of one text."""
_NUMBER = 10**15
_RANGE = 1000
_PRECISION = 10
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


def _spend(context: Context, *texts: object) -> None:
    sizes = (len(text) for text in texts if isinstance(text, str | list | tuple | range))
    context[BUDGET].spend(1 + sum(sizes) // 100)


@pass_context
def _written(context: Context, value: object) -> str:
    text = text_of(value)
    _spend(context, text)
    return text


@pass_context
def _joined(
    context: Context, values: Iterable[Any], d: str = "", attribute: str | None = None
) -> str:
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
    if not isinstance(value, str | bool | int | float | View | Undefined | None):
        raise TemplateProblem(
            "compares a list, or puts one into another; `|length` says how many values it has"
        )
    _spend(context, value)
    return value


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


def _charged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make every call of a filter of Jinja2 cost what it handles, and bound what it gives."""
    wants = _PassArg.from_obj(function)

    @pass_context
    def run(context: Context, value: Any, *args: Any, **options: Any) -> Any:
        _spend(context, value, *args)
        given: dict[Any, list[Any]] = {
            _PassArg.context: [context],
            _PassArg.eval_context: [context.eval_ctx],
            _PassArg.environment: [context.environment],
        }
        found = function(*given.get(wants, []), value, *args, **options)
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


_OF_JINJA = (
    *("abs", "capitalize", "default", "first", "float", "int", "last", "length", "lower", "map"),
    *("max", "min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "title"),
    *("trim", "truncate", "unique", "upper", "wordcount"),
)
LOOP, SCALAR, JOINED = "_loop", "_scalar", "_joined"
"""Filters that checked templates get; none can be written in one."""
FILTERS: dict[str, Any] = {
    **{name: _charged(filters.FILTERS[name]) for name in _OF_JINJA},
    "count": _charged(filters.FILTERS["length"]),
    "d": _charged(filters.FILTERS["default"]),
    "join": _joined,
    "quoted": _charged(_quoted),
    "replace": _replace,
    "round": _charged(_round),
    "string": _charged(text_of),
    "sum": _charged(_sum),
    "tojson": _charged(_json),
    LOOP: _loop,
    SCALAR: _scalar,
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
