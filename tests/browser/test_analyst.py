"""What the analyst does: upload, watch the job, look at scores and reasons, download."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched

_SHOTS = os.environ.get("DEALREC_TEST_SHOTS")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    command = [sys.executable, "-m", "dealrec.cli", "sample-data", str(folder), "--users", "120"]
    subprocess.run([*command, "--items", "60"], check=True, capture_output=True)
    with (folder / "interactions.csv").open("a") as file:
        file.write("u1,,1700000000\n")
    return folder


def look(page: Page, name: str) -> None:
    """No violation of WCAG in light and dark, and nothing wider than the window."""
    width = page.viewport_size["width"]
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        found = Axe().run(page).response["violations"]
        assert not found, f"{name} {theme}: " + json.dumps(
            [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found], indent=1
        )
        if _SHOTS:
            page.screenshot(path=f"{_SHOTS}/{name}-{width}-{theme}.png", full_page=True)
    page.emulate_media(color_scheme="light")


def test_from_upload_to_download(watched: Watched, sample: Path, tmp_path: Path) -> None:
    page = watched.page
    page.goto("/")
    look(page, "overview")
    page.get_by_role("link", name="Data sets", exact=True).click()
    look(page, "datasets")

    page.get_by_label("Interactions").set_input_files(sample / "interactions.csv")
    page.get_by_label("Items").set_input_files(sample / "items.csv")
    page.get_by_label("Name", exact=True).fill("Spring games")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="Spring games")).to_be_visible()
    expect(page.get_by_text("accepted rows")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("cell", name="empty item id")).to_be_visible()
    expect(page.locator("summary").filter(has_text="user").first).to_be_visible()
    look(page, "dataset")

    page.get_by_role("link", name="New job").click()
    page.get_by_label("Measure effort").uncheck()
    page.get_by_label("Epochs").first.fill("1")
    page.get_by_label("Budget", exact=True).fill("20")
    look(page, "new-job")
    page.get_by_role("button", name="Start the job").click()
    expect(page.get_by_role("heading", name="Prune job")).to_be_visible()
    look(page, "job-running")
    page.get_by_role("link", name="Open coreset").wait_for(timeout=120_000)
    expect(page.get_by_role("img", name="Distribution of overall")).to_be_visible()
    expect(page.get_by_text("job.succeeded")).to_be_visible()
    look(page, "job")

    page.get_by_role("link", name="Open coreset").click()
    expect(page.get_by_role("img", name="Strata, from the lowest")).to_be_visible()
    page.get_by_role("button", name="Why").first.click()
    expect(page.get_by_text("Taken: stratum").first).to_be_visible()
    look(page, "coreset")
    page.get_by_label("Budget", exact=True).fill("12")
    page.get_by_label("Strata K").fill("4")
    page.get_by_role("button", name="Select", exact=True).click()
    expect(page.get_by_role("heading", name="Coreset of 12 samples")).to_be_visible()
    expect(page.get_by_text("Jaccard")).to_be_visible()
    look(page, "coreset-diff")

    with page.expect_download() as waiting:
        page.get_by_role("link", name="jsonl").click()
    path = tmp_path / "coreset.jsonl"
    waiting.value.save_as(path)
    assert len(path.read_text().splitlines()) == 12
    assert not watched.errors


def test_a_wrong_form_comes_back_with_what_is_wrong(watched: Watched, sample: Path) -> None:
    page = watched.page
    page.goto("/console/datasets")
    page.get_by_label("Interactions").set_input_files(sample / "items.csv")
    page.get_by_text("Other column names").click()
    page.get_by_label("Our names").fill("{")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert")).to_contain_text("columns")
    assert page.get_by_role("button", name="Upload").is_enabled()
    look(page, "upload-problem")


def test_the_theme_can_be_changed_by_keyboard_and_stays(watched: Watched) -> None:
    page = watched.page
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.get_by_role("button", name="Light / dark").press("Enter")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert not watched.errors
