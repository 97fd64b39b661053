"""The document is sound: it validates, resolves, and its examples are what it describes."""

from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from dealrec.app.main import create_app
from dealrec.app.openapi.examples import EXAMPLES
from dealrec.app.settings import Settings


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    app: FastAPI = create_app(Settings(data_dir=tmp_path_factory.mktemp("data")))
    return app.openapi()


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    return set().union(*(references(value) for value in node)) if isinstance(node, list) else set()


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    for reference in references(document):
        found = document
        assert reference.startswith("#/")
        for part in reference[2:].split("/"):
            assert part in found, reference
            found = found[part]


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_is_what_its_schema_describes(document: dict[str, Any], name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    Draft202012Validator(schema).validate(EXAMPLES[name])


def test_every_json_body_shows_an_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for path, item in document["paths"].items():
        for operation in item.values():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                name = content["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
                assert schemas[name].get("examples"), path


def test_files_of_forms_are_binary(document: dict[str, Any]) -> None:
    for path in ("/v1/datasets", "/v1/datasets/{dataset_id}/append", "/v1/prune"):
        form = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]
        for name in ("interactions", "items"):
            assert form["schema"]["properties"][name]["format"] == "binary"
