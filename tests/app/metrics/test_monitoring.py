"""The dashboard and the alert rules ask for metrics and labels that the service has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import Metric

from dealrec.app.kit.database import Database
from dealrec.app.settings import Settings
from dealrec.app.stages.workers import saw
from dealrec.errors import DealrecError
from dealrec.worker.claims import claim, fail
from tests.worker.makers import new_job, ready_dataset

MONITORING = Path(__file__).parents[3] / "docs" / "monitoring"
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
_OF_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus itself gives every metric."""


def expressions() -> Iterator[tuple[str, str]]:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
        yield rule["alert"], rule["expr"]
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            shown = ", ".join(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            yield panel["title"], target["expr"] + (f" by ({shown})" if shown else "")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database will do here."""
    return sqlite_url


@pytest.fixture
def labels(
    app: FastAPI, client: TestClient, settings: Settings, database: Database
) -> dict[str, set[str]]:
    """The labels of every metric of a service where all kinds of things have happened."""
    with database.session() as session:
        new_job(session, ready_dataset(session))
        saw(session, "w", ["cpu", "gpu"])
    taken = claim(database, settings, "w", queues=["cpu", "gpu"])
    assert taken is not None
    fail(database, taken, DealrecError("Broken.").to_problem())
    client.get("/v1/jobs")
    found: dict[str, set[str]] = {}
    for family in app.state.metrics.registry.collect():
        for name in _names(family):
            own = [set(sample.labels) for sample in family.samples if sample.name == name]
            found[name] = set().union(*own, getattr(family, "_labelnames", ()))
    return found


def _names(family: Metric) -> Iterator[str]:
    for suffix in _SUFFIXES.get(family.type, ("",)):
        yield family.name + suffix


def test_every_metric_and_label_that_is_asked_for_exists(labels: dict[str, set[str]]) -> None:
    asked = dict[str, str]()
    for title, expression in expressions():
        names = re.findall(r"\b(?:dealrec|process)_\w+", expression)
        assert names, title
        unknown = set(names) - labels.keys()
        assert not unknown, f"{title} asks for {unknown}"
        given = set().union(*(labels[name] for name in names), {"le"}, _OF_PROMETHEUS)
        grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
        chosen = re.findall(r"(\w+)=~?\"", expression)
        used = {label.strip() for part in grouped for label in part.split(",")} | set(chosen)
        assert used <= given, f"{title} asks for labels {used - given}"
        asked |= dict.fromkeys(names, title)
    shown = {name for name in asked if name.startswith("dealrec_")}
    families = {name for name in labels if name.startswith("dealrec_")}
    bases = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in families}
    assert bases == {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in shown}


def test_a_wrong_name_would_be_found(labels: dict[str, set[str]]) -> None:
    assert "dealrec_queue_length" not in labels and labels["dealrec_queue_depth"] == {"queue"}
    assert labels["dealrec_stage_failures_total"] == {"stage", "code"}
