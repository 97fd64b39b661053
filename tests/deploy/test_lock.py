"""The lock, from which the image and `make install` take every version."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dealrec.config.catalogue import BUILT_IN

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PINS = re.findall(r"^([\w.-]+)==([\w.]+)(.*)$", LOCK, re.MULTILINE)


@pytest.fixture(scope="module")
def pins() -> dict[str, list[str]]:
    """The versions of each package: one, or some for different versions of Python."""
    found: dict[str, list[str]] = {}
    for name, version, _ in PINS:
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def test_it_pins_what_pyproject_asks_for(pins: dict[str, list[str]]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    for requirement in map(Requirement, asked):
        if requirement.name != "dealrec":
            versions = pins.get(canonicalize_name(requirement.name), [])
            assert versions, f"`make lock`: {requirement} is not in it"
            assert all(version in requirement.specifier for version in versions), requirement


def test_pip_checks_every_file_but_torch() -> None:
    assert [name for name, _, rest in PINS if not rest.endswith("\\")] == ["torch"]


def test_it_names_no_index_and_no_place_on_a_disk() -> None:
    assert not re.search(r"://|file:|^-|index", LOCK, re.MULTILINE)


def test_it_pins_the_language_model_that_the_catalogue_knows(pins: dict[str, list[str]]) -> None:
    for model in BUILT_IN.values():
        assert model.package is not None
        assert pins[model.package] == [model.revision]
