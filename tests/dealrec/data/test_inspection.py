"""What is said of files: their columns, and rows as they are understood."""

import json

import pytest
import typer
from typer.testing import CliRunner

from dealrec.cli import register
from dealrec.data.findings import validation_lines
from dealrec.data.inspection import inspection_lines
from dealrec.errors import InputError
from tests.dealrec.data.files import ingest_bytes

ROWS = b"user_id,thing,timestamp,colour\n" + b"".join(
    b"u%d,i%d,%d,red\n" % (at % 3, at % 4, 1_700_000_000 + at) for at in range(30)
)
ITEMS = b"thing,title\ni0,Zero\ni1,One\n"
COLUMNS = {"item_id": "thing"}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "log.csv").write_bytes(ROWS)
    (tmp_path / "things.csv").write_bytes(ITEMS)
    return tmp_path


def run(*arguments):
    application = typer.Typer()
    register(application)
    return CliRunner().invoke(application, [str(part) for part in arguments])


def test_a_report_says_which_columns_are_read_and_how_rows_are_understood(tmp_path):
    report = ingest_bytes(tmp_path, ROWS, ITEMS, columns=COLUMNS).report
    assert report["files"] == [
        {
            "file": "interactions.csv",
            "columns": ["user_id", "thing", "timestamp", "colour"],
            "read": {"user_id": "user_id", "item_id": "thing", "timestamp": "timestamp"},
            "unused": ["colour"],
        },
        {
            "file": "items.csv",
            "columns": ["thing", "title"],
            "read": {"item_id": "thing", "title": "title"},
            "unused": [],
        },
    ]
    assert len(report["examples"]) == 5
    assert report["examples"][0] == {
        "user_id": "u0",
        "item_id": "i0",
        "title": "Zero",
        "time": "2023-11-14",
    }
    assert report["examples"][2]["title"] is None
    lines = inspection_lines(report["files"], report["examples"])
    assert "  item_id is `thing`" in lines
    assert "interactions.csv: these columns are not used: colour" in validation_lines(report)
    assert "  user u0 took item i0 “Zero” at 2023-11-14" in lines


def test_a_refusal_says_which_columns_there_are(tmp_path):
    with pytest.raises(InputError) as refused:
        ingest_bytes(tmp_path, ROWS)
    files = refused.value.to_problem()["files"]
    assert files == [
        {
            "file": "interactions.csv",
            "columns": ["user_id", "thing", "timestamp", "colour"],
            "read": {},
            "unused": [],
        }
    ]


def test_the_command_keeps_nothing(files):
    before = sorted(files.iterdir())
    arguments = [files / "log.csv", "--items", files / "things.csv", "--column", "item_id=thing"]
    told = run("inspect", *arguments)
    assert told.exit_code == 0, told.output
    assert "user u0 took item i0 “Zero” at 2023-11-14" in told.stdout
    assert "interactions: 30 rows accepted, 0 rejected" in told.stdout
    assert "3 users, 4 items, 30 interactions" in told.stdout
    found = json.loads(run("inspect", *arguments, "--json").stdout)
    assert found["counts"]["users"] == 3
    assert found["report"]["files"][0]["read"]["item_id"] == "thing"
    assert sorted(files.iterdir()) == before


def test_the_command_says_what_a_refused_file_holds(files):
    refused = run("inspect", files / "log.csv")
    assert refused.exit_code == 2
    assert "log.csv has the columns user_id, thing, timestamp, colour" in refused.stdout
    problem = json.loads(run("inspect", files / "log.csv", "--json").stdout)
    assert problem["code"] == "missing_column"
    assert problem["files"][0]["columns"] == ["user_id", "thing", "timestamp", "colour"]
