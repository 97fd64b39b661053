"""The researcher's work: from a file to the report of a comparison, and what the form for one does."""

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.looks import glance, look
from tests.browser.results import Results

Open = Callable[..., Watched]


def test_a_file_becomes_a_comparison_with_intervals_that_is_taken_along(
    open_page: Open, sample: Path
) -> None:
    """On a desk, in the dark: from the upload to the report of a comparison with random selection."""
    watched = open_page(1280, colours="dark")
    page = watched.page
    page.goto("/console/datasets")
    page.get_by_label("Interactions", exact=True).set_input_files(sample / "interactions.csv")
    page.get_by_label("Items", exact=True).set_input_files(sample / "items.csv")
    page.get_by_label("Name", exact=True).fill("Study")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("group", name="Popularity of items")).to_be_visible()
    glance(page, "researcher-dataset")
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("link", name="New comparison").click()
    page.get_by_label("Budgets").fill("8")
    page.get_by_label("Seeds").fill("2")
    page.get_by_label("Trainings on all samples").fill("0")
    page.get_by_label("Language model", exact=True).select_option("tiny")
    page.get_by_text("Options that all methods share").click()
    page.get_by_label("Epochs").first.fill("1")
    expect(page.locator(".sums")).to_contain_text("Trainings")
    glance(page, "researcher-comparison")
    page.get_by_role("button", name="Start the comparison").click()
    page.get_by_role("link", name="Open in a new tab").wait_for(timeout=150_000)
    report = page.frame_locator("iframe")
    expect(report.get_by_text("stratified_random").first).to_be_visible()
    glance(page, "researcher-report")
    for name in ("HTML", "JSON", "Parquet"):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=name, exact=True).click()
        if name == "JSON":
            found = json.loads(waiting.value.path().read_text())
            assert found["model"]["name"] == "tiny"
            shown = [one for one in found["differences"] if one["metric"] == found["primary"]]
            assert shown and all(one["low"] <= one["mean"] <= one["high"] for one in shown)
    assert not watched.errors


def test_the_options_that_a_ticked_method_reads_are_shown(
    open_page: Open, results: Results
) -> None:
    page = open_page(tenant=results.tenant).page
    page.goto("/console/comparisons/new")
    page.get_by_text("Options that all methods share").click()
    weight, seed = page.get_by_label("Effort weight λ"), page.locator("[name='selection.seed']")
    expect(seed).to_be_visible()
    expect(weight).to_be_hidden()
    box = page.get_by_role("checkbox", name="dealrec Draws at random from strata")
    box.check()
    expect(weight).to_be_visible()
    box.uncheck()
    expect(weight).to_be_hidden()


def test_a_comparison_is_asked_for_corrected_and_cancelled(
    open_page: Open, results: Results
) -> None:
    watched = open_page(tenant=results.tenant)
    page = watched.page
    page.goto("/console/comparisons/new")
    page.get_by_label("Budgets").fill("10, many")
    page.get_by_role(
        "checkbox", name="influence Takes the samples with the highest influence."
    ).check()
    page.get_by_role("button", name="Start the comparison").click()
    expect(page.get_by_role("alert").filter(has_text="A budget must be a number.")).to_be_visible()
    look(page, "comparison-problem")
    page.get_by_label("Budgets").fill("10, 20%")
    page.get_by_role("button", name="Start the comparison").click()
    expect(page.get_by_role("heading", name="games · comparison of 7 selectors")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#live .badge").first).to_have_text("cancelled")
    page.get_by_text("Configuration").click()
    expect(page.locator("pre")).to_contain_text('"influence"')
    assert all("422" in error for error in watched.errors)
