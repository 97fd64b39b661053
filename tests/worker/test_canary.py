"""Nothing that users send turns up in a log line, an event or a problem."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dealrec.app.keys.service import create_key
from dealrec.app.kit.caller import ALL_SCOPES
from dealrec.app.kit.database import Database
from dealrec.app.kit.logging import configure_logging
from dealrec.app.main import create_app
from dealrec.app.settings import Settings
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobRow
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model
from tests.worker.canary import MARKER
from tests.worker.makers import TINY, interactions, new_job
from tests.worker.processes import embedded, until

HEAD, _, LINES = interactions().partition("\n")
MARKED = re.sub("([ui])(?=[0-9])", MARKER + r"-\1", LINES)
ROWS = f"{HEAD}\n{MARKED}".encode()
TITLES = ("item_id,title\n" + "".join(f"{MARKER}-i{n},{MARKER} {n}\n" for n in range(30))).encode()
REJECTED = {
    "no such column": f"a,b\n{MARKER},1\n".encode(),
    "a row for a header": f"{MARKER},b,1000\n{MARKER},1,2\n".encode(),
    "no usable row": f"user_id,item_id,timestamp\n{MARKER},{MARKER},{MARKER}\n".encode() * 9,
    "no text": b"user_id,item_id,timestamp\n" + MARKER.encode() + b"\xff\x00,\xfe\n",
    "not compressed": b"\x1f\x8b" + MARKER.encode() * 9,
    "json": json.dumps({"user_id": MARKER, "item_id": [MARKER]}).encode() + b"\n{" + b"x" * 9,
}
NAME = f"{MARKER}.csv"
OF_RUNS = {"dealrec.worker.runner", "dealrec.worker.heart", "dealrec.worker.checkpoints"}


def problems(value: Any) -> list[Any]:
    """Every problem document within an answer."""
    if isinstance(value, dict):
        own = [value] if "code" in value and "type" in value else []
        return own + [found for inner in value.values() for found in problems(inner)]
    return (
        [found for inner in value for found in problems(inner)] if isinstance(value, list) else []
    )


def test_a_marker_in_all_that_users_send_is_said_nowhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(
        data_dir=tmp_path / "data", poll_seconds=0.05, torch_threads=1, max_deaths=1
    )
    database = Database(settings)
    database.migrate()
    with database.session() as session:
        _, text = create_key(session, MARKER, scopes=ALL_SCOPES)
    configure_logging()
    said: list[Any] = []
    with (
        TestClient(create_app(settings)) as client,
        embedded(settings),
    ):
        client.headers["authorization"] = f"Bearer {text}"

        def get(path: str, **options: Any) -> Any:
            answer = client.get(path, **options)
            said.extend(problems(answer.json()))
            return answer.json()

        datasets = {
            what: _upload(client, content) for what, content in {"good": ROWS, **REJECTED}.items()
        }
        until(
            lambda: all(
                get(f"/v1/datasets/{i}")["state"] != "validating" for i in datasets.values()
            ),
            90,
        )
        states = {what: get(f"/v1/datasets/{i}")["state"] for what, i in datasets.items()}
        assert states == {"good": "ready", **dict.fromkeys(REJECTED, "rejected")}
        _refusals(client, datasets["good"], said)
        jobs = _jobs(database, datasets["good"], tmp_path)
        until(lambda: all(get(f"/v1/jobs/{job}")["finished_at"] for job in jobs), 120)
        good, bad = (get(f"/v1/jobs/{job}") for job in jobs)
        assert (good["state"], bad["state"]) == ("succeeded", "failed"), good["error"]
        _read(get, good)
        events = [get(f"/v1/jobs/{job}/events?limit=200") for job in jobs]
        reports = [get(f"/v1/datasets/{i}")["report"] for i in datasets.values()]
        trail = get("/v1/audit")
        metrics = client.get("/metrics").text
    api_log = [
        line for line in capfd.readouterr().err.splitlines() if '"logger": "httpx' not in line
    ]
    worker_log = (settings.data_dir / "worker.log").read_text()
    assert len(api_log) > 20 and "stage_raised" in worker_log
    assert len(said) > 10 and all(page["data"] for page in events)
    _say_whose_they_are(worker_log)
    secrets = (MARKER, text)
    for place, told in {
        "log of the API": api_log,
        "log of the worker": worker_log,
        "problems": [_without_file(problem) for problem in said],
        "events": events,
        "audit trail": trail,
        "metrics": metrics,
    }.items():
        for secret in secrets:
            assert secret not in json.dumps(told, ensure_ascii=False), place
    # A report says which row of which of the user's own files. It repeats nothing of the row, apart from
    # the first rows, which it shows to their owner as they are understood.
    assert reports[0].pop("examples")
    assert all(secret not in json.dumps(reports).replace(NAME, "") for secret in secrets)


def _say_whose_they_are(worker_log: str) -> None:
    """Every line of a stage's run names it, its job and which run it is."""
    lines = [json.loads(line) for line in worker_log.splitlines()]
    of_runs = [line for line in lines if line["logger"] in OF_RUNS]
    assert {line["event"] for line in of_runs} >= {"stage run ended", "stage_raised"}
    for line in of_runs:
        assert {"tenant", "job_id", "dataset_id", "stage_id", "stage", "attempt"} <= line.keys()
        assert line["fence"] >= line["attempt"] >= 1


def _upload(client: TestClient, content: bytes) -> str:
    files = {"interactions": (NAME, content), "items": (f"items-{NAME}", TITLES)}
    answer = client.post("/v1/datasets", files=files, data={"name": MARKER})
    assert answer.status_code == 201, answer.text
    identifier: str = answer.json()["id"]
    return identifier


def _refusals(client: TestClient, dataset: str, said: list[Any]) -> None:
    """Send requests that the API refuses at once."""
    for answer in (
        client.post("/v1/jobs", json={"dataset_id": dataset, "budget": MARKER}),
        client.post(
            "/v1/jobs",
            json={
                "dataset_id": dataset,
                "budget": 2,
                "config": {"prompt": {"item_noun": [MARKER]}},
            },
        ),
        client.post("/v1/jobs", json={"dataset_id": dataset, "budget": 10**6}),
        client.post("/v1/prune", files={"interactions": (NAME, ROWS)}, data={"budget": MARKER}),
        client.post(
            "/v1/prune",
            files={"interactions": (NAME, ROWS)},
            data={"budget": "2", "config": f'{{"{MARKER}'},
        ),
        client.get("/v1/jobs", headers={"authorization": f"Bearer dr_{MARKER}-{MARKER}"}),
    ):
        assert answer.status_code in (401, 422), answer.text
        said.extend(problems(answer.json()))


def _jobs(database: Database, dataset_id: str, folder: Path) -> list[str]:
    """Post a job that goes through a language model, and one whose surrogate raises."""
    tiny_model().save_pretrained(folder / "tiny")
    byte_tokenizer().save_pretrained(folder / "tiny")
    prompt = {"item_noun": MARKER}
    good = {**TINY, "prompt": prompt, "effort": {"model": str(folder / "tiny")}}
    surrogate = {**TINY["surrogate"], "model": "tests.worker.canary:Telling"}
    bad = {**TINY, "prompt": prompt, "surrogate": surrogate}
    with database.session() as session:
        dataset = session.get_one(DatasetRow, dataset_id)
        rows: list[JobRow] = [new_job(session, dataset, 12, config) for config in (good, bad)]
        return [row.id for row in rows]


def _read(get: Callable[..., Any], job: dict[str, Any]) -> None:
    """Everything that shows rows, titles and prompts to their owner."""
    coreset = job["coreset_id"]
    texts = get(f"/v1/datasets/{job['dataset_id']}/samples")["data"]
    assert MARKER in texts[0]["input"]
    key = texts[0]["sample_key"]
    assert MARKER in key
    get(f"/v1/coresets/{coreset}/samples")
    get(f"/v1/coresets/{coreset}/explanation", params={"sample_key": key})
    get(f"/v1/coresets/{coreset}/explanation", params={"sample_key": "none"})
    get(f"/v1/jobs/{job['id']}/scores")
    get(f"/v1/coresets/{coreset}/manifest")


def _without_file(problem: dict[str, Any]) -> str:
    """The problem, but for the name of the caller's own file where it says which row is wrong."""
    return json.dumps(problem, ensure_ascii=False).replace(NAME, "").replace(f"items-{NAME}", "")
