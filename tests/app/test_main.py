"""The application as a whole."""

import subprocess
import sys
import time

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from dealrec.app.kit.database import Database
from dealrec.config import EffortConfig, SelectionMethod

PROBLEM = "application/problem+json"


def test_errors_of_the_framework_are_problems_too(client: TestClient) -> None:
    answers = {
        404: client.get("/nothing"),
        405: client.put("/v1/jobs"),
        422: client.post("/v1/jobs", content=b"{", headers={"content-type": "application/json"}),
        413: client.post("/v1/jobs", content=b" " * (2**20 + 1)),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["content-type"] == PROBLEM
        body = answer.json()
        assert {"type", "title", "status", "detail", "instance", "code"} <= body.keys()
        assert body["status"] == status


def test_405_names_every_method_of_the_path(client: TestClient) -> None:
    assert client.patch("/v1/jobs").headers["allow"] == "GET, POST"
    assert client.put("/v1/jobs/job_1").headers["allow"] == "DELETE, GET, PATCH"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"bytes": ' + b"9" * 5000 + b"}", "a number has too many digits"),
    ],
)
def test_json_on_which_the_decoder_gives_up_is_invalid_json(
    client: TestClient, body: bytes, message: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/uploads", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_json")
    assert answer.json()["errors"] == [{"location": "body", "message": message}]


@pytest.mark.parametrize("levels", [33, 500, 900])
def test_json_has_few_levels(client: TestClient, levels: int) -> None:
    nested = b'{"a": ' * levels + b"1" + b"}" * levels
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/jobs/job_1/coresets", content=nested, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "nested_too_deeply")


def test_no_web_socket_is_opened(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/jobs"):
        pass


def test_an_unforeseen_error_says_nothing_of_the_inside(
    client: TestClient, database: Database
) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE adapters RENAME TO elsewhere")
    answer = client.get("/v1/adapters")
    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
    assert "adapters" not in answer.text.replace("/v1/adapters", "")


def test_importing_the_application_is_quick_and_loads_no_torch() -> None:
    late = "('alembic', 'altair', 'torch', 'transformers')"
    code = f"import dealrec.app.main, sys; print([m for m in {late} if m in sys.modules])"
    started = time.process_time()
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
    assert " torch" not in result.stderr
    total = int(result.stderr.splitlines()[-1].split("|")[1])
    assert total < 2_000_000 or time.process_time() - started < 2


def test_the_document_names_every_operation_and_its_problems(app: FastAPI) -> None:
    document = app.openapi()
    operations = [
        (path, operation) for path, item in document["paths"].items() for operation in item.values()
    ]
    names = [operation["operationId"] for _, operation in operations]
    assert len(names) == len(set(names)) >= 30
    for path, operation in operations:
        if path.startswith("/v1/"):
            assert PROBLEM in operation["responses"]["422"]["content"]
            assert PROBLEM in operation["responses"]["401"]["content"]
            if "{" in path:
                assert PROBLEM in operation["responses"]["404"]["content"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert "code" in document["components"]["schemas"]["Problem"]["properties"]


def test_what_can_be_chosen_is_listed_with_its_parameters(client: TestClient) -> None:
    models = client.get("/v1/models").json()["data"]
    assert EffortConfig().model in [model["name"] for model in models]
    selectors = client.get("/v1/selectors").json()["data"]
    assert {entry["name"] for entry in selectors} == {method.value for method in SelectionMethod}
    assert {entry["name"]: entry["needs"] for entry in selectors}["d2"] == ["grand", "embedding"]
    assert all("seed" in entry["parameters"]["properties"] for entry in selectors)
    recommenders = {
        entry["name"]: entry["parameters"]["properties"]
        for entry in client.get("/v1/recommenders").json()["data"]
    }
    assert set(recommenders) == {"bigrec", "encoder"}
    assert "encoder" in recommenders["encoder"] and "encoder" not in recommenders["bigrec"]
    assert "loss_on" in recommenders["bigrec"] and "loss_on" not in recommenders["encoder"]
    assert all("lora" in properties for properties in recommenders.values())
    surrogates = {entry["name"]: entry for entry in client.get("/v1/surrogates").json()["data"]}
    options = {name: entry["parameters"]["properties"] for name, entry in surrogates.items()}
    assert set(options) == {"sasrec", "bert4rec", "gru4rec", "dcrec", "lightgcn", "content"}
    assert all(properties["hidden_size"]["default"] == 64 for properties in options.values())
    assert all(
        "gbce" in entry["parameters"]["$defs"]["SurrogateLoss"]["enum"]
        for entry in surrogates.values()
    )
    assert "heads" in options["sasrec"] and "heads" not in options["gru4rec"]
    assert [name for name in options if "mask_rate" in options[name]] == ["bert4rec"]
    assert [name for name in options if "conformity" in options[name]] == ["dcrec"]
    assert all("user_share" in properties for properties in options.values())


def test_readiness_names_the_part_that_is_missing(client: TestClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not_ready",
        "database": True,
        "storage": True,
        "worker": False,
    }
    assert client.get("/v1/version").json()["api"] == "v1"
