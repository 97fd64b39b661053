"""Checks of the image that need no Docker; its wheel is built in `test_wheel.py`."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "Dockerfile").read_text().splitlines()


def test_it_copies_what_exists_and_what_the_context_holds() -> None:
    sources = [part for line in LINES if line.startswith("COPY") for part in line.split()[1:-1]]
    assert sources and all((ROOT / source).exists() for source in sources)
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    assert sorted(sources) == sorted(allowed)


def test_it_runs_the_wheel_with_locked_versions_as_nobody_special() -> None:
    installs = [line for line in LINES if "pip install" in line]
    assert len(installs) == 3
    assert all("requirements.lock" in line for line in installs)
    assert not any("editable" in line for line in LINES)
    assert [line.split()[1] for line in LINES if line.startswith("USER")] == ["dealrec"]
