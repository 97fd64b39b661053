"""The researcher's work: open a comparison's report, ask for another comparison."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.looks import look
from tests.browser.results import Results

Open = Callable[..., Watched]


def test_a_report_is_read_in_its_frame_and_taken_along(open_page: Open, results: Results) -> None:
    watched = open_page(tenant=results.tenant)
    page = watched.page
    page.goto(f"/console/jobs/{results.comparison}")
    report = page.frame_locator("iframe")
    expect(report.get_by_text("stratified_random").first).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="JSON", exact=True).click()
    assert waiting.value.suggested_filename.endswith("report.json")
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
    expect(page.get_by_role("heading", name="games · comparison of 6 selectors")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#live .badge").first).to_have_text("cancelled")
    page.get_by_text("Configuration").click()
    expect(page.locator("pre")).to_contain_text('"influence"')
    assert all("422" in error for error in watched.errors)
