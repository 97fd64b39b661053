"""Finds changes of an OpenAPI document that break a client written against the old one.

Requests may only become wider (whatever was accepted still is), answers only narrower (whatever
was there still is). New values of an enum in an answer are no break: clients must bear them.
"""

from math import inf
from typing import Any

Schema = dict[str, Any]
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_SAME = ("pattern", "format", "multipleOf", "const")


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Each break in words, with its place; empty where every old client goes on working."""
    found: list[str] = []
    for path, item in old["paths"].items():
        for method, operation in item.items():
            place = f"{method.upper()} {path}"
            now = new["paths"].get(path, {}).get(method)
            if now is None:
                found.append(f"{place}: removed")
            else:
                found += _Operation(place, old, new).compare(operation, now)
    return found


class _Operation:
    """The comparison of one operation; ``seen`` ends recursive schemas."""

    def __init__(self, place: str, old: Schema, new: Schema) -> None:
        self.place, self.old, self.new = place, old, new
        self.found: list[str] = []

    def compare(self, old: Schema, new: Schema) -> list[str]:
        if old.get("operationId") != new.get("operationId"):
            self.found.append(f"{self.place}: operationId changed")
        self._parameters(old, new)
        self._body(old.get("requestBody"), new.get("requestBody"))
        for status, answer in old["responses"].items():
            if status.startswith("2"):
                self._answer(status, answer, new["responses"].get(status))
        return self.found

    def _parameters(self, old: Schema, new: Schema) -> None:
        def by_name(document: Schema, operation: Schema) -> dict[tuple[str, str], Schema]:
            resolved = [_resolve(document, p)[0] for p in operation.get("parameters", [])]
            return {(p["in"], p["name"]): p for p in resolved}

        before, after = by_name(self.old, old), by_name(self.new, new)
        for key, parameter in before.items():
            place = f"{self.place} {key[0]} {key[1]}"
            if key not in after:
                self.found.append(f"{place}: removed")
                continue
            if after[key].get("required") and not parameter.get("required"):
                self.found.append(f"{place}: became required")
            self.found += self._request(place, parameter["schema"], after[key]["schema"])
        for key in after.keys() - before.keys():
            if after[key].get("required"):
                self.found.append(f"{self.place} {key[0]} {key[1]}: new and required")

    def _body(self, old: Schema | None, new: Schema | None) -> None:
        if new is None:
            if old is not None:
                self.found.append(f"{self.place} body: removed")
            return
        if new.get("required") and not (old or {}).get("required"):
            self.found.append(f"{self.place} body: became required")
        for kind, content in (old or {}).get("content", {}).items():
            place = f"{self.place} body {kind}"
            if kind not in new["content"]:
                self.found.append(f"{place}: removed")
            else:
                schemas = content.get("schema", {}), new["content"][kind].get("schema", {})
                self.found += self._request(place, *schemas)

    def _answer(self, status: str, old: Schema, new: Schema | None) -> None:
        place = f"{self.place} {status}"
        if new is None:
            self.found.append(f"{place}: removed")
            return
        for kind, content in old.get("content", {}).items():
            now = new.get("content", {}).get(kind)
            if now is None:
                self.found.append(f"{place} {kind}: removed")
            else:
                schemas = content.get("schema", {}), now.get("schema", {})
                self.found += _narrower(self.new, self.old, f"{place} {kind}", *schemas[::-1])

    def _request(self, place: str, old: Schema, new: Schema) -> list[str]:
        return _wider(self.old, self.new, place, old, new, frozenset())


def _wider(
    before: Schema, after: Schema, place: str, old: Schema, new: Schema, seen: frozenset[Any]
) -> list[str]:
    """The reasons why ``new`` refuses something that ``old`` accepts."""
    return _fits(before, after, place, old, new, seen, request=True)


def _narrower(after: Schema, before: Schema, place: str, new: Schema, old: Schema) -> list[str]:
    """The reasons why something that ``new`` gives could not have come from ``old``."""
    return _fits(after, before, place, new, old, frozenset(), request=False)


def _fits(
    one: Schema,
    other: Schema,
    place: str,
    inner: Schema,
    outer: Schema,
    seen: frozenset[Any],
    *,
    request: bool,
) -> list[str]:
    """Why a value of ``inner`` (of document ``one``) is none of ``outer`` (of document ``other``)."""
    (inner, name), (outer, other_name) = _resolve(one, inner), _resolve(other, outer)
    if name and (name, other_name) in seen:
        return []
    seen |= {(name, other_name)}
    outers = [_resolve(other, choice)[0] for choice in _choices(outer)]
    found: list[str] = []
    for choice in _choices(inner):
        resolved = _resolve(one, choice)[0]
        reasons: list[list[str]] = [
            _alternative(one, other, place, resolved, candidate, seen, request=request)
            for candidate in outers
        ]
        fewest: list[str] = min(reasons, key=len)
        found += fewest
    return found


def _alternative(
    one: Schema,
    other: Schema,
    place: str,
    inner: Schema,
    outer: Schema,
    seen: frozenset[Any],
    *,
    request: bool,
) -> list[str]:
    found = [*_type(place, inner, outer), *_limits(place, inner, outer, request=request)]
    if found:
        return found

    def deeper(step: str, low: Schema, high: Schema) -> list[str]:
        return _fits(one, other, f"{place}{step}", low, high, seen, request=request)

    mine, theirs = inner.get("properties", {}), outer.get("properties", {})
    # Names that a client sends or reads must still be known.
    gone = (mine if request else theirs).keys() - (theirs if request else mine).keys()
    found += [f"{place}.{name}: removed" for name in sorted(gone)]
    needed = set(outer.get("required", [])) - set(inner.get("required", []))
    word = "became required" if request else "may be missing"
    found += [f"{place}.{name}: {word}" for name in sorted(needed) if request or name in mine]
    for name in mine.keys() & theirs.keys():
        found += deeper(f".{name}", mine[name], theirs[name])
    if "items" in outer and "items" in inner:
        found += deeper("[]", inner["items"], outer["items"])
    extra, allowed = (
        inner.get("additionalProperties", True),
        outer.get("additionalProperties", True),
    )
    if request and allowed is False and extra is not False:
        found.append(f"{place}: refuses further fields")
    if isinstance(extra, dict) and isinstance(allowed, dict):
        found += deeper(".*", extra, allowed)
    return found


def _type(place: str, inner: Schema, outer: Schema) -> list[str]:
    low, high = inner.get("type"), outer.get("type")
    if high is None or low == high or (low, high) == ("integer", "number"):
        return []
    return [f"{place}: type {low} against {high}"]


def _limits(place: str, inner: Schema, outer: Schema, *, request: bool) -> list[str]:
    if not request:  # an answer is read, not measured
        return []
    found = [
        *(word for word in _LOWER if word in outer and inner.get(word, -inf) < outer[word]),
        *(word for word in _UPPER if word in outer and inner.get(word, inf) > outer[word]),
        *(word for word in _SAME if word in outer and inner.get(word) != outer[word]),
    ]
    if "enum" in outer and not set(inner.get("enum", [object()])) <= set(outer["enum"]):
        found.append("enum")
    return [f"{place}: {word} became narrower" for word in found]


def _choices(schema: Schema) -> list[Schema]:
    """The alternatives of a schema: itself, if it has none."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return list(choices)
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    return [schema]


def _resolve(document: Schema, schema: Schema) -> tuple[Schema, str | None]:
    """The schema behind a reference, and the reference; what stands beside it is no constraint."""
    name = schema.get("$ref")
    if name is None:
        return schema, None
    found = document
    for part in name.removeprefix("#/").split("/"):
        found = found[part]
    return found, name
