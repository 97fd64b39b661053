import json
import re
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from compose_spec import PyCompose
from typer.testing import CliRunner

from dealrec.app.kit.dispatch import QUEUES
from dealrec.app.settings import Settings

ROOT = Path(__file__).parents[2]
DEALREC = ("api", "migrate", "worker-cpu", "worker-gpu")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_it_has_the_services_of_the_deployed_shape(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*DEALREC, "postgres", "redis"}
    assert compose["services"]["worker-gpu"]["profiles"] == ["gpu"]


def test_it_keeps_to_the_compose_specification(compose: dict[str, Any]) -> None:
    interpolated = re.sub(r"\$\{\w+:([-?])([^}]*)}", _value, json.dumps(compose))
    parsed = PyCompose.from_json(interpolated)
    assert set(parsed.services or {}) == set(compose["services"])
    wrong = {"services": {"api": {"image": "x", "ports": "not a list"}}}
    with pytest.raises(ValueError, match=r"sequence|list|array"):
        PyCompose.from_json(json.dumps(wrong))


def _value(match: re.Match[str]) -> str:
    """A variable's default, or a value for one that must be given."""
    return match[2] if match[1] == "-" else "given"


@pytest.fixture(scope="module")
def application() -> typer.Typer:
    """Every part's subcommands, as ``dealrec`` gathers them."""
    gathered = typer.Typer()
    for part in entry_points(group="dealrec.commands"):
        register: Callable[[typer.Typer], None] = part.load()
        register(gathered)
    return gathered


def test_its_own_services_run_real_commands(
    compose: dict[str, Any], application: typer.Typer
) -> None:
    for name in DEALREC:
        command = [re.sub(r"\$\{\w+:-([^}]*)}", r"\1", part) for part in _command(compose, name)]
        options = [part for part in command[1:] if part.startswith("--")]
        shown = CliRunner().invoke(application, [command[0], "--help"], env=WIDE)
        assert shown.exit_code == 0, shown.output
        assert all(option in shown.output for option in options)
        if "--queues" in command:
            queues = command[command.index("--queues") + 1].split(",")
            assert set(queues) <= set(QUEUES)


WIDE = {"COLUMNS": "200", "TERMINAL_WIDTH": "200", "NO_COLOR": "1"}


def _command(compose: dict[str, Any], name: str) -> list[str]:
    command: list[str] = compose["services"][name]["command"]
    return command


def test_every_setting_that_it_names_exists(compose: dict[str, Any]) -> None:
    known = {f"DEALREC_{name.upper()}" for name in Settings.model_fields}
    for name in DEALREC:
        named = {key for key in compose["services"][name]["environment"] if "DEALREC" in key}
        assert named and named <= known


def test_every_queue_has_a_worker_without_the_gpu_profile(compose: dict[str, Any]) -> None:
    assert _command(compose, "worker-cpu")[-1] == "${DEALREC_CPU_QUEUES:-cpu,gpu}"


def test_what_it_refers_to_exists(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        for volume in service.get("volumes", ()):
            assert volume.split(":")[0] in compose["volumes"]
        assert "image" in service
    for name in ("api", "worker-cpu", "worker-gpu", "postgres", "redis"):
        assert compose["services"][name]["healthcheck"]["test"]


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for secret in ("POSTGRES_PASSWORD", "DEALREC_BOOTSTRAP_KEY"):
        uses = re.findall(rf"\$\{{{secret}(.)", text)
        assert uses and set(uses) == {":"}
        assert f"${{{secret}:-" not in text
