"""Each kind of tracker gets the whole record, and a tracker that fails stops nothing."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dealrec.app.kit.programs import Program
from dealrec.errors import InputError
from dealrec.extras import NotInstalled
from dealrec.tracking import (
    RunRecord,
    RunState,
    TrackedStage,
    TrackerFailed,
    TrackingWarning,
    record_of,
    tracker_of,
    trackers_of,
    write_everywhere,
)
from dealrec.tracking.program import WriteAnswer, WriteRequest, answer
from tests.dealrec.tracking.events import offline_run, scalars, texts

BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LOSSES = [(1, 2.5), (2, 1.5), (3, math.inf)]


@pytest.fixture(autouse=True)
def _files(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's store of files, which takes a tenth of the time of a new database."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


@pytest.fixture
def record() -> RunRecord:
    return record_of(
        "job_1",
        "games",
        kind="prune",
        state=RunState.FINISHED,
        times=(BEGUN, BEGUN + timedelta(minutes=2)),
        config={"selection": {"method": "dealrec", "strata": 5}, "effort": None, "names": ["a"]},
        stages=[
            TrackedStage("surrogate", {"valid_ndcg@10": [(1, 0.25), (2, 0.5)]}, {"loss": 0.125}),
            TrackedStage("surrogate", {"loss": [(1, 0.75)]}, {}),
            TrackedStage("finetune", {"train_loss": LOSSES}, {"samples": 8, "lost": math.nan}),
        ],
        manifest={"sha256": "c0ffee", "size": 8, "config": {"long": "x" * 9000}},
        tags={"dataset_sha256": "da7a", "adapter_id": None, "metadata.a@b": "c"},
    )


def written_to_mlflow(place: Path, record: RunRecord) -> None:
    from mlflow import MlflowClient

    uri = place.as_uri()
    tracker = tracker_of(f"mlflow:{uri}")
    first, run = tracker.write(record), tracker.write(record)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("dealrec")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_id == run != first
    assert (found.info.run_name, found.info.status) == ("games", "FINISHED")
    assert found.info.start_time == BEGUN.timestamp() * 1000
    assert found.data.params == dict(record.parameters)
    assert found.data.tags["dealrec.coreset_sha256"] == "c0ffee"
    assert found.data.tags["dealrec.metadata.a_b"] == "c"  # MLflow refuses the character
    assert json.loads(found.data.tags["dealrec.manifest"]) == {"sha256": "c0ffee", "size": 8}
    assert found.data.metrics["surrogate/loss"] == 0.125
    curve = client.get_metric_history(run, "surrogate/valid_ndcg_at_10")
    assert [(point.step, point.value) for point in curve] == [(1, 0.25), (2, 0.5)]
    losses = client.get_metric_history(run, "finetune/train_loss")
    assert [(point.step, point.value) for point in losses] == LOSSES[:2]


def written_to_tensorboard(place: Path, record: RunRecord) -> None:
    tracker = tracker_of(f"tensorboard:{place}")
    assert tracker.write(record) == tracker.write(record) == "job_1"
    assert scalars(place / "job_1") == {
        "surrogate/valid_ndcg_at_10": [(1, 0.25), (2, 0.5)],
        "surrogate.1/loss": [(1, 0.75)],
        "finetune/train_loss": LOSSES[:2],
        "surrogate/loss": [(0, 0.125)],
        "finetune/samples": [(0, 8.0)],
    }
    told = texts(place / "job_1")
    assert "`selection.strata`: `5`" in told and "c0ffee" in told


def written_to_wandb(place: Path, record: RunRecord) -> None:
    run = tracker_of(f"wandb:{place}").write(record)
    # The library's own process writes the last messages, and a busy machine may keep it waiting.
    for _ in range(200):
        found = offline_run(place / "wandb" / run)
        if any(one.HasField("exit") for one in found):
            break
        time.sleep(0.1)
    (begun,) = [one.run for one in found if one.HasField("run")]
    assert (begun.run_id, begun.project, begun.display_name) == ("job_1", "dealrec", "games")
    options = {one.key: json.loads(one.value_json) for one in begun.config.update}
    assert options["selection.strata"] == "5" and options["tags/coreset_sha256"] == "c0ffee"
    rows = [
        {
            "/".join(item.nested_key) or item.key: json.loads(item.value_json)
            for item in one.history.item
        }
        for one in found
        if one.HasField("history")
    ]
    losses = [
        (row["finetune/step"], row["finetune/train_loss"]) for row in rows if "finetune/step" in row
    ]
    assert losses == LOSSES[:2]
    assert any(row.get("surrogate/valid_ndcg_at_10") == 0.5 for row in rows)


@pytest.mark.parametrize("check", [written_to_mlflow, written_to_tensorboard, written_to_wandb])
def test_a_tracker_gets_the_whole_record(
    check: Callable[[Path, RunRecord], None], record: RunRecord, tmp_path: Path
) -> None:
    check(tmp_path / "tracker", record)


def test_options_and_stages_have_one_name_each(record: RunRecord) -> None:
    assert dict(record.parameters) == {
        "selection.method": "dealrec",
        "selection.strata": "5",
        "names": '["a"]',
    }
    assert [stage.name for stage in record.stages] == ["surrogate", "surrogate.1", "finetune"]
    assert record.tags["dataset_sha256"] == "da7a" and "adapter_id" not in record.tags


def test_a_tracker_that_is_away_is_a_warning_without_its_address(
    record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away, there = "mlflow:http://me:secret@127.0.0.1:9/", f"tensorboard:{tmp_path}"
    with pytest.warns(TrackingWarning, match="mlflow tracker got no record") as warned:
        (said,) = write_everywhere(trackers_of(f"{away} {there}"), record)
    assert str(warned[0].message) == said and "secret" not in said
    assert scalars(tmp_path / "job_1")


def test_what_the_library_of_a_tracker_prints_is_not_in_a_command_s_output(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def talkative(place: str, record: RunRecord) -> str:
        print("View run at", place)  # noqa: T201
        return record.id

    monkeypatch.setattr("dealrec.tracking.to_tensorboard.write", talkative)
    assert tracker_of("tensorboard:runs").write(record) == "job_1"
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "View run at runs\n")


def test_a_failed_job_is_no_finished_run(record: RunRecord, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = (tmp_path / "runs").as_uri()
    failed = replace(record, state=RunState.FAILED)
    run = tracker_of(f"mlflow:{uri}").write(failed)
    assert MlflowClient(uri).get_run(run).info.status == "FAILED"


@pytest.mark.parametrize("address", ["mlflow", "mlflow:", "http://localhost:5000", "comet:x"])
def test_an_unknown_address_is_refused_with_the_forms(address: str) -> None:
    with pytest.raises(InputError, match=r"mlflow:…, tensorboard:…, wandb:…") as caught:
        trackers_of([address])
    assert caught.value.code == "invalid_tracker"


def test_a_missing_extra_is_named_before_the_work(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dealrec.extras.missing", lambda _extra: ("tensorboardX",))
    with pytest.raises(NotInstalled, match=r"dealrec\[tensorboard\]"):
        trackers_of("tensorboard:runs")
    with pytest.raises(TrackerFailed, match="NotInstalled"):
        tracker_of("tensorboard:runs").write(record)


def test_the_program_of_the_worker_writes_and_says_what_went_wrong(
    record: RunRecord, tmp_path: Path
) -> None:
    place = (tmp_path / "runs").as_uri()
    asked = WriteRequest(tracker=f"mlflow:{place}", record=record).model_dump_json()
    said = Program("dealrec.tracking.program", seconds=200).answer(asked)
    told = WriteAnswer.model_validate_json(said.splitlines()[-1])
    assert told.error is None
    assert list((tmp_path / "runs").glob(f"*/{told.run}/metrics/finetune/train_loss"))
    (tmp_path / "file").touch()
    wrong = WriteRequest(tracker=f"tensorboard:{tmp_path / 'file'}", record=record)
    assert b"FileExists" in answer(wrong.model_dump_json()) or b"NotADirectory" in answer(
        wrong.model_dump_json()
    )


def test_no_library_of_a_tracker_is_loaded_unless_it_is_asked_for() -> None:
    code = (
        "import sys, dealrec.cli, dealrec.app.kit.traces, dealrec.app.tracking.writing; "
        "print({'mlflow', 'opentelemetry.sdk', 'tensorboardX', 'wandb'} & sys.modules.keys())"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"
