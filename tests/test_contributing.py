"""The steps of CONTRIBUTING.md are complete: done in a copy of the tree, they add what they say."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (Add .*?)\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))
STEP = re.compile(
    r"^(?:Create `(?P<new>[^`]+)`|Add to `(?P<old>[^`]+)`, below the line `(?P<line>[^`]+)`)"
    r"[^`\n]*?:\n\n(?:<!-- fmt: off -->\n\n)?```python\n(?P<content>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_COPIED = (
    ".git",
    ".venv",
    "build",
    ".*_cache",
    ".hypothesis",
    "*.egg-info",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the tree."""
    ignored = shutil.ignore_patterns(*NOT_COPIED)
    return shutil.copytree(ROOT, tmp_path / "tree", symlinks=True, ignore=ignored)


def do_steps(section: str, tree: Path) -> int:
    """Create the files and add the lines; how many steps there were."""
    steps = list(STEP.finditer(section))
    for step in steps:
        if step["new"]:
            assert not (tree / step["new"]).exists(), f"{step['new']} is there already"
            (tree / step["new"]).write_text(step["content"], encoding="utf-8")
            continue
        lines = (tree / step["old"]).read_text(encoding="utf-8").split("\n")
        assert lines.count(step["line"]) == 1, f"{step['old']} has not one line {step['line']!r}"
        lines.insert(lines.index(step["line"]) + 1, indented(step["content"], step["line"]))
        (tree / step["old"]).write_text("\n".join(lines), encoding="utf-8")
    assert len(steps) == section.count("```python\n"), "a block of Python belongs to no step"
    return len(steps)


def indented(content: str, line: str) -> str:
    """As far to the right as ``line``; one step more where that opens a block."""
    depth = len(line) - len(line.lstrip()) + (4 if line.endswith((":", "(", "{")) else 0)
    return textwrap.indent(textwrap.dedent(content), " " * depth).removesuffix("\n")


def run(command: str, tree: Path) -> str:
    """Run it in the tree, with the tree's own packages; what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=tree,
        env={**environment, "PATH": path, "PYTHONPATH": str(tree), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("name", SECTIONS)
def test_the_steps_add_what_they_say(name: str, tree: Path) -> None:
    section = SECTIONS[name]
    assert do_steps(section, tree) >= 2
    (commands,) = COMMANDS.findall(section)
    printed = run(commands, tree)
    if name == "Add a selector":
        assert "long_histories" in printed
    run("ruff check . && ruff format --check .", tree)
