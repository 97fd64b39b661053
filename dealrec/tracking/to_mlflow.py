"""Writes records to MLflow: a server, a folder of files, or a database."""

import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

from dealrec.tracking.record import RunRecord, RunState

_EXPERIMENT = "dealrec"
_ID = "dealrec.id"
_LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""By default MLflow asks a server that is away for several minutes."""
_METRICS, _PARAMETERS = 1000, 100
"""The most that one request may hold."""
_TAG, _PARAMETER = 5000, 6000
"""The longest values, in characters."""
_STATES = {
    RunState.FINISHED: "FINISHED",
    RunState.FAILED: "FAILED",
    RunState.CANCELLED: "KILLED",
}
_T = TypeVar("_T")


def write(uri: str, record: RunRecord) -> str:
    """Write a run of the experiment ``dealrec``, or of the one that ``MLFLOW_EXPERIMENT_NAME`` names.

    Returns:
        The id of the run.
    """
    for name, value in _LIMITS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(tracking_uri=uri)
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _EXPERIMENT)
    found = client.get_experiment_by_name(name)
    experiment = client.create_experiment(name) if found is None else found.experiment_id
    for earlier in client.search_runs([experiment], f"tags.`{_ID}` = '{record.id}'"):
        client.delete_run(earlier.info.run_id)
    begun, ended = (int(at.timestamp() * 1000) for at in (record.started_at, record.ended_at))
    tags = {_name(f"dealrec.{tag}"): value[:_TAG] for tag, value in record.tags.items()}
    run = client.create_run(
        experiment, start_time=begun, tags={_ID: record.id, **tags}, run_name=record.name
    ).info.run_id
    metrics = [Metric(_name(name), value, ended, step) for name, step, value in _values(record)]
    parameters = [Param(name, value[:_PARAMETER]) for name, value in record.parameters.items()]
    for some in _batches(metrics, _METRICS):
        client.log_batch(run, metrics=some)
    for few in _batches(parameters, _PARAMETERS):
        client.log_batch(run, params=few)
    client.set_terminated(run, _STATES[record.state], end_time=ended)
    return str(run)


def _values(record: RunRecord) -> Iterator[tuple[str, int, float]]:
    """Yield the name, step and value of every point, and of every figure that no curve has."""
    drawn = set()
    for stage in record.stages:
        for step, values in stage.rows():
            for name, value in values.items():
                drawn.add(name)
                yield name, step, value
    for name, value in record.figures().items():
        if name not in drawn:
            yield name, 0, value


def _name(name: str) -> str:
    """The name with the characters that MLflow allows."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def _batches(items: Sequence[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
