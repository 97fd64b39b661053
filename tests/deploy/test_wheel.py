"""The wheel, in environments that hold only what its extras name."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.deploy.installed import (
    ROOT,
    Environment,
    build_sdist,
    build_wheel,
    files_of,
    install,
    source_tree,
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return source_tree(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


@contextmanager
def serving(environment: Environment) -> Iterator[tuple[str, list[str]]]:
    """The address of ``dealrec serve`` on a free port, and the lines that it said before."""
    process = subprocess.Popen(
        environment.command("serve", "--port=0"),
        cwd=environment.work,
        env=environment.variables,
        stdout=subprocess.PIPE,
        stderr=(environment.work / "log").open("w"),
        text=True,
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if "listens on" in line:
                break
        else:
            pytest.fail((environment.work / "log").read_text())
        url = said[-1].split()[-1]
        wait_until_healthy(url)
        yield url, said
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_healthy(url: str) -> None:
    for _ in range(300):
        try:
            if httpx.get(f"{url}/healthz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the service is not healthy after 30 s")


def test_it_holds_the_whole_tree_under_one_name(wheel: Path) -> None:
    tree = {
        str(Path(folder, file).relative_to(ROOT))
        for folder in tracked_folders()
        for file in Path(folder).iterdir()
        if file.is_file() and file.suffix != ".pyc"
    }
    packed = files_of(wheel)
    assert {name for name in packed if name.startswith("dealrec/")} == tree
    assert {name.split("/")[0].split("-")[0] for name in packed} == {"dealrec"}


def tracked_folders() -> Iterator[Path]:
    """Every folder of the import name ``dealrec``, through its symbolic links."""
    open_ = [ROOT / "dealrec"]
    while open_:
        folder = open_.pop()
        yield folder
        open_ += [
            inner for inner in folder.iterdir() if inner.is_dir() and inner.name != "__pycache__"
        ]


def test_the_sdist_makes_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    sdist = build_sdist(source, tmp_path)
    assert files_of(build_wheel(sdist, tmp_path)) == files_of(wheel)


def test_it_serves_and_selects_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    installed = install(wheel, "all", tmp_path)
    imported = installed.python(
        "import dealrec, dealrec.worker as w; print(dealrec.__file__, w.__file__)"
    )
    assert all(path.startswith(str(tmp_path)) for path in imported.stdout.split())
    with serving(installed) as (url, _):
        console = httpx.get(url, follow_redirects=True)
        assert console.is_success and "/console/static/console.css" in console.text
        assert httpx.get(f"{url}/console/static/console.css").is_success
        assert httpx.get(f"{url}/console/static/swagger/swagger-ui.css").is_success
        made = installed.dealrec("sample-data", "sample", "--users", "100", "--items", "60")
        assert made.returncode == 0, made.stderr
        job = submitted(installed, url)
        got = installed.dealrec("coreset", job, "--out", "coreset.jsonl", "--server", url)
        assert got.returncode == 0, got.stderr
    assert len((installed.work / "coreset.jsonl").read_text().splitlines()) == 10


def submitted(installed: Environment, url: str) -> str:
    """The id of a job on the sample data that has ended well."""
    data = ["sample/interactions.csv", "--items", "sample/items.csv", "--budget", "10"]
    done = installed.dealrec("submit", *data, "--watch", "--json", "--server", url)
    assert done.returncode == 0, done.stdout + done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    return str(last["id"])


def test_the_service_alone_answers_without_torch(wheel: Path, tmp_path: Path) -> None:
    installed = install(wheel, "service", tmp_path)
    assert installed.python("import torch").returncode == 1
    with serving(installed) as (url, said):
        assert "dealrec[worker]" in " ".join(said)
        assert httpx.get(f"{url}/openapi.json").is_success
        assert httpx.get(url, follow_redirects=True).is_success


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return install(wheel, "", tmp_path_factory.mktemp("base"))


def test_without_extras_there_are_client_configuration_and_help(base: Environment) -> None:
    shown = base.dealrec("--help")
    assert shown.returncode == 0, shown.stderr
    for extra in ("client", "library", "service", "worker", "all"):
        assert f"Not installed here: pip install 'dealrec[{extra}]'" in shown.stdout
    light = "import dealrec; dealrec.PruneConfig(); from dealrec.client import Client; Client('http://x')"
    assert base.python(light).returncode == 0
    assert base.dealrec("selectors").returncode == 0


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("sample-data x", "client"),
        ("prune x --out x --budget 1", "library"),
        ("serve", "service"),
        ("keys list", "service"),
        ("worker", "worker"),
        ("demo --out x", "all"),
    ],
)
def test_a_command_that_is_not_installed_says_what_helps(
    base: Environment, command: str, extra: str
) -> None:
    refused = base.dealrec(*command.split())
    assert refused.returncode == 2
    assert f"Install them with `pip install 'dealrec[{extra}]'`." in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
