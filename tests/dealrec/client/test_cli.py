"""Commands that ask a server."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import Finished
from tests.dealrec.client.conftest import CONFIG, ENDLESS, Run, Service


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    return path


def test_a_job_is_submitted_watched_and_fetched(
    run: Run, data: Path, config: Path, tmp_path: Path
) -> None:
    submitted = run("submit", data, "--budget", 12, "--config", config, "--set", "selection.seed=3")
    assert submitted.exit_code == 0
    job = submitted.stdout.strip()
    accepted = "interactions: 480 rows accepted, 0 rejected"
    assert accepted in submitted.stderr
    watched = run("watch", job)
    assert watched.exit_code == 0
    assert watched.stdout.split()[:2] == [job, "succeeded"]
    assert "select" in watched.stderr
    curves = json.loads(run("metrics", job, "--json").stdout)
    assert {curve["name"] for curve in curves} >= {"loss"}
    assert [point["step"] for point in curves[0]["points"]][:1] == [1]
    assert "loss (surrogate)\n  epoch 1" in run("metrics", job, "--name", "loss").stdout
    status = run("status", job)
    assert f"{job} (prune): succeeded" in status.stdout
    assert accepted in watched.stderr
    assert accepted in status.stdout
    out = tmp_path / "coreset.jsonl"
    assert "12 samples" in run("coreset", job, "--out", out).stdout
    assert len(out.read_text().splitlines()) == 12
    coreset = json.loads(run("status", job, "--json").stdout)["coreset_id"]
    alpaca = tmp_path / "alpaca.json"
    fetched = run("coreset", coreset, "--out", alpaca, "--format", "alpaca", "--json")
    assert json.loads(fetched.stdout)["size"] == len(json.loads(alpaca.read_text())) == 12


def test_machines_get_a_line_for_each_event_and_the_job_last(
    run: Run, data: Path, config: Path
) -> None:
    done = run("submit", data, "--budget", 12, "--config", config, "--watch", "--json")
    assert done.exit_code == 0
    *events, job = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert {event["object"] for event in events} == {"event"}
    assert (job["object"], job["state"]) == ("job", "succeeded")
    assert job["dataset"]["report"]["accepted_rows"] == 480


def test_a_job_is_estimated_before_it_is_started(run: Run, finished: Finished) -> None:
    asked = ("estimate", finished.dataset, "--budget", 5, "--set", "effort=null")
    found = json.loads(run(*asked, "--json").stdout)
    assert [stage["name"] for stage in found["stages"]] == ["surrogate", "influence", "select"]
    told = run(*asked).stdout
    assert told.startswith("5 samples, about ") and "by reference" in told


def test_a_file_that_is_refused_is_a_failure_of_submit(run: Run, data: Path) -> None:
    rows = data.read_text().splitlines()
    rows[2::2] = [row.rsplit(",", 1)[0] + ",soon" for row in rows[2::2]]
    data.write_text("\n".join(rows))
    refused = run("submit", data, "--budget", 12, "--set", "effort=null")
    assert refused.exit_code != 0
    assert refused.stdout.startswith("job_")
    assert "(50.0%) cannot be used" in refused.stderr
    taken = run("submit", data, "--budget", 12, "--set", "effort=null", "--allow-rejected", "0.5")
    assert taken.exit_code == 0
    assert "240 invalid_timestamp" in taken.stderr


def test_a_paused_job_is_not_watched_for_ever_and_a_cancelled_one_is_a_failure(
    run: Run, client: Any, data: Path
) -> None:
    job = client.prune(data, budget=5, config=ENDLESS)
    job.pause()
    *_, last = run("watch", job.id, "--json").stdout.splitlines()
    assert json.loads(last)["state"] == "paused"
    job.cancel()
    assert run("watch", job.id, "--json").exit_code == 1
    failed = run("watch", job.id)
    assert failed.exit_code == 1
    assert "was cancelled" in failed.stderr


def test_an_adapter_comes_as_a_folder(run: Run, finished: Finished, tmp_path: Path) -> None:
    for identifier in (finished.adapter, finished.finetune):
        done = run("adapter", identifier, "--out", tmp_path / "deep" / identifier)
        assert done.exit_code == 0, done.stderr
        names = {path.name for path in (tmp_path / "deep" / identifier).iterdir()}
        assert names == {"adapter_config.json", "adapter_model.safetensors"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {
        finished.adapter,
        finished.finetune,
    }


def test_a_file_is_uploaded(run: Run, data: Path) -> None:
    assert run("upload", data).stdout.startswith("up_")
    assert json.loads(run("upload", data, "--json").stdout)["state"] == "complete"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("status", "job_none"), 2, "There is no job 'job_none'"),
        (("coreset", "cs_none", "--out", "x"), 2, "There is no coreset"),
        (("submit", "none.csv", "--budget", "5"), 2, "There is no file none.csv"),
        (("submit", __file__, "--budget", "0"), 2, "budget"),
        (("submit", __file__, "--budget", "5", "--set", "selection.strata=0"), 2, "strata"),
        (("status", "job_none", "--server", "ftp://there"), 2, "must begin with http"),
        (("status", "job_none", "--server", "http://127.0.0.1:1"), 1, "did not answer"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_exit_status(
    run: Run, arguments: tuple[str, ...], status: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dealrec.client.asking._REACH_SECONDS", 0.01)
    done = run(*arguments)
    assert done.exit_code == status
    assert said in done.stderr
    as_json = run(*arguments, "--json")
    assert as_json.exit_code == status
    assert json.loads(as_json.stdout)["code"]


def test_on_a_terminal_there_are_bars(service: Service, data: Path, config: Path) -> None:
    main, terminal = pty.openpty()
    command = [sys.executable, "-m", "dealrec", "submit", str(data), "--budget", "12"]
    command += ["--config", str(config), "--watch", "--server", service.url]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as process:
        os.close(terminal)
        drawn = b""
        try:
            while piece := os.read(main, 4096):
                drawn += piece
        except OSError:  # how Linux says that the other end is closed
            pass
        assert process.stdout is not None
        assert "succeeded cs_" in process.stdout.read()
    os.close(main)
    assert b"influence" in drawn and b"\x1b[" in drawn
