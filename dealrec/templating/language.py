"""The part of Jinja2 that templates may use, checked before anything runs."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateSyntaxError, nodes

from dealrec.templating.problems import TemplateProblem
from dealrec.templating.sandbox import FILTERS, JOINED, LOOP, SANDBOX, SCALAR, SEARCHED, TESTS
from dealrec.templating.views import HISTORY, plain_text

_DEPTH = 24
_NODES = 2000
_ALLOWED: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const),
    *(nodes.For, nodes.If, nodes.With, nodes.Assign, nodes.AssignBlock, nodes.FilterBlock),
    *(nodes.Filter, nodes.Test, nodes.Tuple, nodes.List, nodes.CondExpr, nodes.Keyword),
    *(nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Call, nodes.Concat),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
)
_NAMES = {
    nodes.Include: "`{% include %}`",
    nodes.Import: "`{% import %}`",
    nodes.FromImport: "`{% from %}`",
    nodes.Extends: "`{% extends %}`",
    nodes.Block: "`{% block %}`",
    nodes.Macro: "`{% macro %}`",
    nodes.CallBlock: "`{% call %}`",
    nodes.Pow: "`**`",
    nodes.Dict: "a dictionary",
    nodes.NSRef: "`namespace`",
    nodes.ScopedEvalContextModifier: "`{% autoescape %}`",
}
_OWN = frozenset({"loop"})


@dataclass(frozen=True)
class Checked:
    """A template that may run, as a tree in which every loop, join and comparison is counted."""

    tree: nodes.Template
    fields: frozenset[str]
    """The names of all fields that are read, as far as they are written in the template."""
    uses_marked: bool


def check(
    source: str, names: Collection[str], *, marked: str | None = None, why: str = ""
) -> Checked:
    """Check a template and prepare it for counted runs.

    Args:
        source: The text of the template.
        names: The variables that it may use.
        marked: The variable around whose words the marks of a history are put.
        why: Why no other variables can be used.

    Raises:
        TemplateProblem: It cannot be used; the message says why, and in which line.
    """
    tree = _parsed(plain_text(source))
    _require_small(tree)
    fields: set[str] = set()
    for node in tree.find_all(nodes.Node):
        _require_allowed(node)
        fields |= _fields(node)
    known = {*names, *SANDBOX.globals, *_OWN, *_assigned(tree)}
    for name in tree.find_all(nodes.Name):
        if name.name not in known:
            listed = why or f"the names are {', '.join(sorted(names))}"
            raise _at(name, f"uses `{_short(name.name)}`, which is not a name here; {listed}")
    if marked is not None:
        tree.body = _marked(tree.body, marked)
    uses_marked = any(_is_mark(node) for node in tree.body)
    _count(tree)
    return Checked(tree, frozenset(fields), uses_marked)


def _parsed(source: str) -> nodes.Template:
    try:
        return SANDBOX.parse(source)
    except TemplateSyntaxError as error:
        said = (error.message or "it is not a template").rstrip(".")
        raise TemplateProblem(f"has an error in line {error.lineno}: {_short(said, 200)}") from None
    except RecursionError:
        raise TemplateProblem("is nested too deeply") from None
    except ValueError:
        raise TemplateProblem("has a number that cannot be read") from None


def _require_small(tree: nodes.Template) -> None:
    count = 0
    level: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while level:
        node, depth = level.pop()
        count += 1
        if depth > _DEPTH:
            raise _at(node, f"is nested more than {_DEPTH} deep")
        if count > _NODES:
            raise TemplateProblem(f"has more than {_NODES:,} parts")
        level += [(child, depth + 1) for child in node.iter_child_nodes()]


def _require_allowed(node: nodes.Node) -> None:
    if isinstance(node, nodes.Call):
        _require_range(node)
    if isinstance(node, nodes.Filter | nodes.Test):
        _require_listed(node)
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        raise _at(node, f"asks for `.{_short(node.attr)}`, which cannot be read")
    if isinstance(node, nodes.For) and node.recursive:
        raise _at(node, "uses a recursive loop, which cannot be used")
    if not isinstance(node, _ALLOWED):
        kind = _NAMES.get(type(node), f"`{type(node).__name__}`")
        raise _at(node, f"uses {kind}, which cannot be used")


def _require_range(node: nodes.Call) -> None:
    called = node.node
    if isinstance(called, nodes.Getattr):
        raise _at(
            node,
            f"calls `.{_short(called.attr)}()`; methods cannot be called, use filters such as `|upper` "
            "instead",
        )
    if not isinstance(called, nodes.Name) or called.name != "range":
        raise _at(node, "contains a call; only `range` can be called")
    if node.kwargs or node.dyn_args or node.dyn_kwargs:
        raise _at(node, "calls `range` with something that is not a number")


def _require_listed(node: nodes.Filter | nodes.Test) -> None:
    what, known = ("filter", FILTERS) if isinstance(node, nodes.Filter) else ("test", TESTS)
    if node.name not in known or node.name.startswith("_"):
        listed = ", ".join(sorted(name for name in known if name[0].isalpha()))
        raise _at(node, f"uses the {what} `{_short(node.name)}`; the {what}s are {listed}")
    if node.dyn_args or node.dyn_kwargs:
        raise _at(node, "uses `*` or `**` in a call, which cannot be used")


def _assigned(tree: nodes.Template) -> Iterator[str]:
    return (name.name for name in tree.find_all(nodes.Name) if name.ctx != "load")


def _fields(node: nodes.Node) -> set[str]:
    """The fields that a node reads by name: ``a.b``, ``a["b"]`` and ``attribute="b"``."""
    match node:
        case nodes.Getattr(attr=name):
            return {name}
        case nodes.Getitem(arg=nodes.Const(value=str(name))):
            return {name}
        case nodes.Filter(
            name="selectattr" | "rejectattr", args=[nodes.Const(value=str(name)), *_]
        ):
            return {name}
        case nodes.Keyword(key="attribute", value=nodes.Const(value=str(name))):
            return {name}
    return set()


def _marked(body: list[nodes.Node], name: str) -> list[nodes.Node]:
    """Put marks around the top-level nodes from the first to the last that writes ``name``.

    Its length alone, as in ``{{ history|length }}``, is not what is written of it.
    """
    flat: list[nodes.Node] = []
    for node in body:
        inner = node.nodes if isinstance(node, nodes.Output) else None
        flat += (
            [node] if inner is None else [nodes.Output([one], lineno=node.lineno) for one in inner]
        )
    found, writing = {name}, []
    for place, node in enumerate(flat):
        if not _mentions(node, found):
            continue
        if isinstance(node, nodes.Assign | nodes.AssignBlock):
            found |= {one.name for one in node.target.find_all(nodes.Name)} | _target(node.target)
        else:
            writing.append(place)
    if not writing:
        return flat
    first, last = writing[0], writing[-1] + 1
    before, after = (nodes.Output([nodes.TemplateData(mark)], lineno=1) for mark in HISTORY)
    return [*flat[:first], before, *flat[first:last], after, *flat[last:]]


def _is_mark(node: nodes.Node) -> bool:
    if not isinstance(node, nodes.Output):
        return False
    return any(isinstance(one, nodes.TemplateData) and one.data == HISTORY[0] for one in node.nodes)


def _target(node: nodes.Node) -> set[str]:
    return {node.name} if isinstance(node, nodes.Name) else set()


def _mentions(node: nodes.Node, names: set[str]) -> bool:
    if isinstance(node, nodes.Filter) and node.name in ("length", "count"):
        return False
    if isinstance(node, nodes.Name):
        return node.ctx == "load" and node.name in names
    return any(_mentions(child, names) for child in node.iter_child_nodes())


def _count(node: nodes.Node) -> int:
    """Make loops, joins, lists and comparisons below ``node`` counted; return how many steps it takes."""
    steps = 1 + sum(_count(child) for child in node.iter_child_nodes())
    match node:
        case nodes.TemplateData():
            steps += len(node.data) // 100
        case nodes.For():
            node.iter = _through(node.iter, LOOP, nodes.Const(steps, lineno=node.lineno))
        case nodes.List() | nodes.Tuple(ctx="load"):
            node.items = [_through(item, SCALAR) for item in node.items]
        case nodes.Compare():
            node.expr = _through(node.expr, SCALAR)
            for operand in node.ops:
                within = operand.op in ("in", "notin")
                operand.expr = _through(operand.expr, SEARCHED if within else SCALAR)
        case _:
            for name, value in list(node.iter_fields()):
                _replace_joins(node, name, value)
    return steps


def _replace_joins(node: nodes.Node, name: str, value: Any) -> None:
    if isinstance(value, nodes.Concat):
        setattr(node, name, _join(value))
    elif isinstance(value, list):
        setattr(node, name, [_join(one) if isinstance(one, nodes.Concat) else one for one in value])


def _join(node: nodes.Concat) -> nodes.Filter:
    return _through(nodes.List(node.nodes, lineno=node.lineno), JOINED)


def _through(node: Any, name: str, *args: nodes.Expr) -> nodes.Filter:
    if isinstance(node, nodes.Concat):
        node = _join(node)
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


def _short(text: str, length: int = 40) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _at(node: nodes.Node, said: str) -> TemplateProblem:
    return TemplateProblem(f"{said} (line {node.lineno})")
