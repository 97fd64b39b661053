"""Fills the page of the HTTP API from the OpenAPI document: operations first, then every object's fields."""

from typing import Any

from dealrec.app.main import create_app

_MARK = "<!-- operations -->"
_METHODS = ("post", "get", "put", "patch", "delete")
_FIRST = "prune"
"""The operation that the page begins with."""
_ORDER = ("data sets", "uploads", "jobs", "scores", "coresets", "comparisons", "adapters")
"""The order of the groups; others follow."""
_ANSWERED = "application/json"
_COMMON = {
    "id": "Identifies the object on this server.",
    "object": "The kind of the object: a constant.",
    "name": "The name, which you can change.",
    "created_at": "The time of creation (UTC).",
    "started_at": "The time when work on it began (UTC).",
    "finished_at": "The time when it ended (UTC).",
    "data": "The entries.",
    "has_more": "Whether there is another page.",
    "next": "The value of `after` for the next page.",
    "job_id": "The job.",
    "dataset_id": "The data set.",
    "coreset_id": "The coreset.",
    "adapter_id": "The adapter.",
    "sample_key": "Identifies a sample of the data set.",
    "influence": "The sample's influence score.",
    "effort": "The sample's effort score; null if effort was not measured.",
    "overall": "The score by which samples are ranked or divided into strata.",
    "stratum": "The number of the sample's stratum.",
    "selected": "Whether the sample is in the coreset.",
    "metadata": "Up to 16 short texts of your own.",
    "metrics": "Metrics by name.",
    "error": "The problem, if there is one.",
    "split": "How interactions are split into training, validation and test.",
    "seed": "The seed of all random choices.",
    "model": "The name of a language model.",
    "sha256": "SHA-256 of the content.",
    "bytes": "The size in bytes.",
}
"""The meanings of fields that are the same everywhere."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs calls this for every page."""
    if _MARK not in markdown:
        return markdown
    document = create_app().openapi()
    return markdown.replace(_MARK, f"{operations(document)}\n\n{objects(document)}")


def operations(document: dict[str, Any]) -> str:
    """Every operation with its parameters, body and responses. The shortest way to a coreset comes first."""
    shared = document["components"].get("parameters", {})
    groups: dict[str, list[str]] = {"the whole method in one request": []}
    groups |= {tag: [] for tag in _ORDER}
    (first,) = groups.keys() - set(_ORDER)
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                operation = item[method]
                tag = operation.get("tags", ["other"])[0]
                group = first if operation["operationId"] == _FIRST else tag
                described = _operation(method, path, operation, shared)
                groups.setdefault(group, []).append(described)
    return "\n\n".join(
        f"## {tag.capitalize()}\n\n" + "\n\n".join(rows) for tag, rows in groups.items()
    )


def _operation(
    method: str, path: str, operation: dict[str, Any], shared: dict[str, dict[str, Any]]
) -> str:
    """``shared`` parameters are those that operations refer to by name."""
    lines = [f"### `{method.upper()} {path}`", "", operation.get("description", "")]
    found = [
        shared[given["$ref"].rsplit("/", 1)[-1]] if "$ref" in given else given
        for given in operation.get("parameters", [])
    ]
    parameters = [
        f"| `{given['name']}` | {given['in']} | {_type(given['schema'])} | {_cell(given)} |"
        for given in found
        if given["in"] != "path"
    ]
    if parameters:
        lines += ["", "| parameter | in | type | meaning |", "|---|---|---|---|", *parameters]
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        schema = body.get("schema", {})
        lines += ["", f"Body: `{kind}` {_reference(schema)}".rstrip()]
        if "$ref" not in schema and schema.get("properties"):
            lines += ["", *_fields(schema, asked=True)]
    answers = []
    for status, answer in operation["responses"].items():
        named = sorted(
            {
                _reference(content.get("schema", {}))
                for content in answer.get("content", {}).values()
            }
            - {""}
        )
        answers.append(f"`{status}`" + (f" {', '.join(named)}" if named else ""))
    return "\n".join([*lines, "", "Responses: " + " · ".join(answers)])


def objects(document: dict[str, Any]) -> str:
    """Every object with its fields, and every closed set of words."""
    parts = ["## Objects"]
    bodies = {
        content.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]
        for item in document["paths"].values()
        for operation in item.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
    }
    for name, schema in sorted(
        document["components"]["schemas"].items(), key=lambda one: _shown(one[0])
    ):
        lines = [f"### {_shown(name)}", "", schema.get("description", "")]
        if schema.get("properties"):
            lines += ["", *_fields(schema, asked=name in bodies)]
        if "enum" in schema:
            lines += ["", "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _fields(schema: dict[str, Any], *, asked: bool) -> list[str]:
    """A table; in the body of a request (``asked``) it says which fields are required."""
    required = set(schema.get("required", ())) if asked else set()
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        needed = " (required)" if name in required else ""
        rows.append(
            f"| `{name}` | {_type(field)}{needed} | {_cell(field, _COMMON.get(name, ''))} |"
        )
    return rows


def _cell(part: dict[str, Any], otherwise: str = "") -> str:
    text = part.get("description") or part.get("schema", {}).get("description") or otherwise
    return " ".join(text.split()).replace("|", "\\|")


def _shown(name: str) -> str:
    """The name of an object: ``Page of Job`` for ``Page_Job_``."""
    generic, _, inner = name.rstrip("_").partition("_")
    return f"{generic} of {inner}" if inner else name


def _reference(schema: dict[str, Any]) -> str:
    """A link to the object, or nothing where the schema is none."""
    name = _shown(schema.get("$ref", "").rsplit("/", 1)[-1])
    return f"[{name}](#{name.lower().replace(' ', '-')})" if name else ""


def _type(schema: dict[str, Any]) -> str:
    options = schema.get("anyOf") or schema.get("oneOf") or [schema]
    named = [_one_type(option) for option in options]
    default = schema.get("default")
    shown = "" if default is None or isinstance(default, dict | list) else f", default `{default}`"
    return " or ".join(dict.fromkeys(named)) + shown


def _one_type(schema: dict[str, Any]) -> str:
    if reference := _reference(schema):
        return reference
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema.get('items', {}))}" if schema.get("items") else "list"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"object of {_type(schema['additionalProperties'])} by name"
        case "string" if schema.get("format") == "binary":
            return "file"
        case "string" if "format" in schema:
            return f"text ({schema['format']})"
        case "string":
            return "text"
        case None:
            return "any"
        case kind:
            return str(kind)
