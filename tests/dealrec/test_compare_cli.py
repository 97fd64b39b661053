"""What ``dealrec compare`` can show is said before it starts, from an earlier report."""

import pytest
import typer
from typer.testing import CliRunner

from dealrec import pipeline
from dealrec.cli import register
from dealrec.comparison.results import Power, Spread
from dealrec.errors import InputError
from tests.dealrec.comparison.reports import comparison_report

ASKED = ("--budget", "5", "--seeds", "8", "--set", "evaluation.users=400", "--out", "out")


def compare(pilot, monkeypatch):
    """Run the command until the comparison itself would begin."""

    def begin(*_args, **_options):
        raise InputError("It begins.", code="begun")

    monkeypatch.setattr(pipeline, "compare", begin)
    application = typer.Typer()
    register(application)
    return CliRunner().invoke(application, ["compare", "log.csv", *ASKED, "--pilot", str(pilot)])


def test_a_pilot_says_what_eight_runs_and_four_hundred_users_show(tmp_path, monkeypatch):
    spread = Spread(users=0.1, runs=0.02, noise=0.4)
    power = Power(metric="nll", runs=5, users=120, detectable=0.1, spread=spread, runs_needed=9)
    report = comparison_report().model_copy(update={"power": power})
    (tmp_path / "report.json").write_text(report.model_dump_json())
    said = compare(tmp_path, monkeypatch)
    assert "Judging by the spread in the pilot, 8 runs and 400 users detect" in said.stdout
    assert "It begins." in said.stderr


@pytest.mark.parametrize("report", [None, "{}", comparison_report().model_dump_json()])
def test_a_folder_without_spreads_is_no_pilot(tmp_path, monkeypatch, report):
    if report is not None:
        (tmp_path / "report.json").write_text(report)
    said = compare(tmp_path, monkeypatch)
    assert said.exit_code == 2
    assert str(tmp_path) in said.stderr
    assert "It begins." not in said.stderr
