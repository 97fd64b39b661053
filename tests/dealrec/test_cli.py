"""The whole command: its help, its examples, completion, and the file of settings."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from dealrec.cli import whole
from dealrec.client import ApiError
from dealrec.errors import InputError
from dealrec.settings_file import command_defaults
from dealrec.terminal import Panel, add_commands

APPLICATION = whole()
COMMAND: Any = typer.main.get_command(APPLICATION)


def leaves(command: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, inner in command.commands.items():
        if hasattr(inner, "commands"):
            yield from leaves(inner, (*above, name))
        else:
            yield " ".join((*above, name)), inner


def lines_of(command: Any) -> list[str]:
    """The examples that the help of a command shows, as they would be typed."""
    shown = (command.epilog or "").replace("\\[", "[").split("\n\n")
    return [line.removeprefix("[dim]$[/dim] ") for line in shown if line]


def invoke(*arguments: str, **options: Any) -> Any:
    return CliRunner().invoke(APPLICATION, list(arguments), prog_name="dealrec", **options)


@pytest.mark.parametrize(("name", "command"), list(leaves(COMMAND)), ids=lambda one: str(one)[:40])
def test_every_command_has_examples_that_it_understands(name: str, command: Any) -> None:
    lines = lines_of(command)
    assert lines, f"{name} has no example"
    for line in lines:
        program, *arguments = shlex.split(line)
        assert (program, arguments[: len(name.split())]) == ("dealrec", name.split())
        rest = arguments[len(name.split()) :]
        context = command.make_context(name, rest)
        assert not context.args


def test_help_groups_the_commands_and_short_options_work() -> None:
    shown = invoke("-h", env={"COLUMNS": "200"}).stdout
    assert all(panel.value in shown for panel in Panel)
    places = [shown.index(f"│ {name} ") for name in ("prune", "submit", "coresets", "serve")]
    assert places == sorted(places)
    one = invoke("reselect", "-h", env={"COLUMNS": "200"}).stdout
    assert "$ dealrec reselect job_01hxyz --budget 1%" in one
    assert invoke("--version").stdout.split()[0] == "dealrec"


def test_a_shell_completes_commands_and_options() -> None:
    asked = {"_DEALREC_COMPLETE": "complete_bash", "COMP_WORDS": "dealrec res", "COMP_CWORD": "1"}
    assert sorted(invoke(env=asked).stdout.split()) == ["reselect", "resume"]
    asked |= {"COMP_WORDS": "dealrec prune --bu", "COMP_CWORD": "2"}
    assert invoke(env=asked).stdout.split() == ["--budget"]


def test_a_file_that_is_not_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    for arguments in (
        ("prune", "none.csv", "--budget", "5", "--out", str(tmp_path / "out")),
        ("prune", __file__, "--budget", "5", "--config", "none.csv", "--out", "x"),
        ("finetune", "none.csv", "--model", "smollm2-135m", "--out", "x"),
        ("export", "none.csv", "--out", "x"),
    ):
        done = invoke(*arguments)
        assert done.exit_code == 2
        assert done.stderr == "A file cannot be read: There is no file none.csv.\n"


def test_what_the_disk_refuses_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    asked = invoke("sample-data", str(tmp_path / "file" / "below"))
    assert asked.exit_code == 2
    assert asked.stderr.count("\n") == 1
    assert "Not a directory" in asked.stderr
    problem = json.loads(invoke("prune", "--json", "x.csv", "--budget", "1", "--out", "o").stdout)
    assert problem["code"] == "no_such_file"


def test_one_wrong_option_is_said_once() -> None:
    done = invoke("prune", __file__, "--budget", "5", "--out", "x", "--set", "selection.methd=x")
    assert done.stderr.count("did you mean `method`?") == 1


@pytest.mark.parametrize(
    ("code", "option"), [("no_answer", "--server"), ("unauthenticated", "--key")]
)
def test_an_error_of_a_server_names_the_option_that_helps(code: str, option: str) -> None:
    def fail() -> None:
        raise ApiError("It went wrong.", code=code)

    application = typer.Typer()
    add_commands(application, {"fail": fail})
    said = CliRunner().invoke(application, []).stderr
    assert "It went wrong." in said
    assert f"`{option}" in said and "dealrec.toml" in said


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder; the working folder is another one."""
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def test_settings_are_defaults_and_the_working_folder_wins(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "dealrec.toml").write_text(
        'server = "https://home"\nkey = "file:.key"\n[prune]\nbudget = "2%"\nallow-rejected = 0.5\n'
    )
    (home / ".key").write_text("dr_home\n")
    found = command_defaults(COMMAND)
    assert found["status"] == found["jobs"]["list"] == {"server": "https://home", "key": "dr_home"}
    assert found["prune"] == {"budget": "2%", "allow_rejected": 0.5}
    assert "serve" not in found
    Path("dealrec.toml").write_text('server = "https://work"\n[prune]\nbudget = 7\nset = ["a=1"]\n')
    found = command_defaults(COMMAND)
    assert found["prune"] == {"budget": 7, "allow_rejected": 0.5, "set_": ["a=1"]}
    assert found["status"] == {"server": "https://work"}, "a key goes to its own file's server"
    Path("dealrec.toml").write_text('server = "https://work"\nkey = "env:TEAM_KEY"\n')
    monkeypatch.setenv("TEAM_KEY", "dr_team")
    assert command_defaults(COMMAND)["status"] == {"server": "https://work", "key": "dr_team"}


def test_defaults_of_the_file_reach_a_command(home: Path) -> None:
    Path("dealrec.toml").write_text("[sample-data]\nusers = 12\nitems = 20\n")
    defaults = command_defaults(COMMAND)
    done = invoke("sample-data", "sample", "--items", "25", "--json", default_map=defaults)
    told = json.loads(done.stdout)
    assert (told["users"], told["items"], told["seed"]) == (12, 25, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[prun]\nbudget = 1", "`prun` is not a command; did you mean `prune`?"),
        (
            "[prune]\nbuget = 1",
            "`buget` is not an option of `dealrec prune`; did you mean `budget`?",
        ),
        ("key = 'dr_secret'", "must not be the key itself"),
        ("key = 'file:none'", "There is no file"),
        ("server =", "cannot be read as TOML"),
    ],
)
def test_what_the_file_has_wrong_is_said(home: Path, text: str, said: str) -> None:
    Path("dealrec.toml").write_text(text)
    with pytest.raises(InputError) as raised:
        command_defaults(COMMAND)
    assert said in raised.value.detail
    assert "dr_secret" not in raised.value.detail
