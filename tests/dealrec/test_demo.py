from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dealrec.cli import register
from dealrec.demo import service
from dealrec.errors import DealrecError


def test_the_demo_touches_no_files_of_yours(tmp_path: Path) -> None:
    kept = tmp_path / "data"
    kept.mkdir()
    application = typer.Typer()
    register(application)
    result = CliRunner().invoke(application, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "already holds files" in result.output
    assert [*tmp_path.iterdir()] == [kept]


def test_a_service_that_does_not_start_shows_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEALREC_DATABASE_URL", "no database")
    with pytest.raises(DealrecError, match="sqlalchemy"), service(tmp_path / "service"):
        pass
