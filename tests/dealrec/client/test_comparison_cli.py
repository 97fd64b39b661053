"""Commands that have a server compare selectors."""

import json
from pathlib import Path
from typing import Any

from dealrec.client import Client
from dealrec.config.comparison import CONTROLS
from tests.app.comparisons import finished_comparison
from tests.app.conftest import Finished
from tests.dealrec.client.conftest import Run, Service

ASKED = ("--budget", "10,0.2", "--selectors", "influence", "--seeds", 2)
TRAININGS = 4 * (len(CONTROLS) + 1) + 3
"""Two of each selector at each budget, one on all data, two on exchanged histories."""


def test_what_it_would_take_is_said_and_the_data_set_is_used_again(
    run: Run, client: Client, data: Path
) -> None:
    said = run("submit-comparison", data, *ASKED, "--estimate")
    assert said.exit_code == 0, said.output
    first, second, *stages = said.stdout.splitlines()
    dataset = first.removeprefix("data set ")
    assert second.startswith(f"{TRAININGS} trainings, about ")
    assert [line.split()[0] for line in stages] == [
        "surrogate",
        "headroom",
        "influence",
        "compare",
    ]
    again = run("submit-comparison", dataset, *ASKED, "--estimate", "--json")
    assert (json.loads(again.stdout)["dataset_id"], json.loads(again.stdout)["trainings"]) == (
        dataset,
        TRAININGS,
    )
    assert list(client.jobs.list(dataset_id=dataset)) == []


def test_a_comparison_is_submitted_as_it_was_asked_for(
    run: Run, client: Client, finished: Finished
) -> None:
    options = ("--scale", "full", "--set", "surrogate.epochs=3")
    said = run("submit-comparison", finished.dataset, *ASKED, *options)
    assert said.exit_code == 0, said.output
    job = client.jobs.get(said.stdout.strip())
    job.cancel()
    config: dict[str, Any] = dict(job.config)
    assert (job.kind, config["budgets"], config["seeds"]) == ("comparison", [10, 0.2], 2)
    assert [one["method"] for one in config["selectors"]] == [
        *CONTROLS,
        "influence",
    ]
    assert (config["scale"], config["config"]["surrogate"]["epochs"]) == ("full", 3)


def test_what_says_how_a_file_is_read_goes_with_no_data_set(
    run: Run, finished: Finished, client: Client
) -> None:
    said = run("submit-comparison", finished.dataset, *ASKED, "--column", "user_id=u")
    assert said.exit_code == 2
    assert "--column" in said.stderr
    kinds = {job.kind for job in client.jobs.list(dataset_id=finished.dataset)}
    assert "comparison" not in kinds


def test_a_report_is_fetched_with_its_verdict(
    run: Run, service: Service, finished: Finished, tmp_path: Path
) -> None:
    job = finished_comparison(
        service.database, service.storage, tmp_path, "default", finished.dataset
    )
    page, figures = tmp_path / "report.html", tmp_path / "figures.json"
    said = run("report", job, "--out", page)
    assert said.exit_code == 0, said.output
    assert page.read_text().startswith("<!doctype html>")
    again = run("report", job, "--out", figures, "--format", "json", "--json")
    verdict = json.loads(figures.read_text())["verdict"]
    assert json.loads(again.stdout)["verdict"] == verdict
    assert said.stdout.splitlines() == [verdict, f"report {page}"]


def test_a_job_without_a_report_says_so(run: Run, finished: Finished, tmp_path: Path) -> None:
    said = run("report", finished.job, "--out", tmp_path / "report.html")
    assert said.exit_code == 2
    assert "comparison" in said.stderr
    assert not (tmp_path / "report.html").exists()
