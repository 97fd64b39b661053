"""The OpenAPI document: FastAPI's own, with the parts that FastAPI cannot infer."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from dealrec.app.datasets.schemas import DatasetAppend, DatasetCreate
from dealrec.app.kit.idempotency.middleware import LONGEST_KEY
from dealrec.app.kit.problems import Problem, documented
from dealrec.app.openapi.descriptions import describe_fields, plain_descriptions
from dealrec.app.openapi.examples import EXAMPLES

Schema = dict[str, Any]
"""A part of the document as FastAPI writes it: JSON whose keys depend on the place."""

_KEEPING = frozenset(
    {
        *("create_upload", "create_dataset", "create_job", "create_comparison", "prune"),
        *("create_coreset", "create_finetune", "create_model", "ping_webhook", "redeliver"),
        *("append_to_dataset", "cancel_job", "pause_job", "resume_job", "retry_job"),
        *("create_schedule", "run_schedule"),
    }
)
"""The operations that keep their answer for a repeated ``Idempotency-Key``."""
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeated request with the same key and the same body returns the first response again.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_KEY,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
    },
}


def openapi_document(app: FastAPI) -> Schema:
    """Return the document of ``app``, which is made once.

    It adds streamed bodies, the problem schema, authentication, idempotency keys, descriptions of fields and
    examples, and removes repeated defaults.
    """
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
        )
        components = document["components"]
        components["schemas"] |= _schemas(DatasetCreate)
        components["schemas"] |= _schemas(DatasetAppend) | _schemas(Problem)
        components["parameters"] = {"IdempotencyKey": _IDEMPOTENCY_KEY}
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}, {}]
        for schema in components["schemas"].values():
            _drop_repeated_defaults(schema.get("properties", {}))
        describe_fields(components["schemas"])
        plain_descriptions(document)
        for name, example in EXAMPLES.items():
            components["schemas"][name]["examples"] = [example]
        for item in document["paths"].values():
            for operation in item.values():
                if operation["operationId"] in _KEEPING:
                    _add_idempotency_key(operation)
        app.openapi_schema = document
    return app.openapi_schema


def _schemas(model: type[BaseModel]) -> dict[str, Schema]:
    """Return the model's schema and those of its parts as components."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _drop_repeated_defaults(properties: dict[str, Schema]) -> None:
    """Remove objects that are defaults of nullable properties; their own schemas state the same.

    Client generators refuse such defaults, because they look for them among the null values.
    """
    for schema in properties.values():
        if "anyOf" in schema and isinstance(schema.get("default"), dict):
            del schema["default"]


def _add_idempotency_key(operation: Schema) -> None:
    parameters = operation.setdefault("parameters", [])
    parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    operation["responses"].setdefault("409", documented(409)[409])
