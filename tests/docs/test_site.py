"""The site: its list of versions, its pictures, and the page of the HTTP API."""

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
_MOST_BYTES = 200_000


def loaded(name: str) -> ModuleType:
    """A program beside the pages, which is in no package."""
    spec = spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_earlier_versions_stay_and_the_newest_is_the_latest(tmp_path: Path) -> None:
    publish = loaded("publish")
    for version in ("0.9", "0.10", "0.2"):
        publish.list_version(tmp_path, version)
    listed = json.loads((tmp_path / "versions.json").read_text())
    assert [entry["version"] for entry in listed] == ["0.10", "0.9", "0.2"]
    assert [entry["aliases"] for entry in listed] == [["latest"], [], []]
    assert 'url=0.10/"' in (tmp_path / "index.html").read_text()
    assert 'url=../0.10/"' in (tmp_path / "latest" / "index.html").read_text()
    assert publish.minor("0.2.1") == "0.2"


def test_the_pictures_are_small_and_each_is_shown() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = {
        name for page in pages for name in re.findall(r"pictures/([\w-]+\.png)", page.read_text())
    }
    assert shown == {path.name for path in PICTURES.iterdir()}
    for path in PICTURES.iterdir():
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG") and len(content) < _MOST_BYTES, path.name


def test_the_page_of_the_api_begins_with_prune_and_explains_every_object() -> None:
    page = loaded("api_page").on_page_markdown("<!-- operations -->")
    first, second = re.findall(r"^### `(\w+ \S+)`", page, re.MULTILINE)[:2]
    assert (first, second) == ("POST /v1/prune", "POST /v1/datasets")
    assert "| `budget` | text | A count, or a fraction such as 0.02 |" in page
    headings = {
        heading.lower().replace(" ", "-")
        for heading in re.findall(r"^### (.*)$", page, re.MULTILINE)
    }
    links = set(re.findall(r"\]\(#([\w-]+)\)", page))
    assert links <= headings, links - headings
    for path in ("scored-samples", "verdicts", "merged", "webhooks", "models"):
        assert re.search(rf"^### `\w+ /v1/\S*{path}`", page, re.MULTILINE), path
    assert "| `eta_seconds` | number or null | The estimated seconds until the job ends" in page
