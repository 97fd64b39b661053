"""Forms keep what was entered: under another preset, a refusal, and a key that is gone."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched
from tests.browser.looks import look
from tests.browser.results import Results

Open = Callable[..., Watched]


def test_no_error_takes_what_was_entered(open_page: Open, results: Results) -> None:
    watched = open_page(tenant=results.tenant)
    page = watched.page
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"/console/jobs/new?dataset_id={results.finished.dataset}")
    expect(page.get_by_text("Samples to select")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), "needs scrolling"
    page.get_by_text("Customize").click()
    page.get_by_label("Epochs").first.fill("3")
    page.get_by_label("With effort").check()
    expect(page.get_by_label("Measure effort")).to_be_checked()
    page.get_by_label("Budget", exact=True).fill("many")
    page.get_by_role("button", name="Start the job").click()
    budget = page.get_by_label("Budget", exact=True)
    expect(budget).to_be_focused()
    expect(page.locator(".field-error")).to_have_count(1)
    look(page, "job-new-refused")
    _still_there(page)
    assert watched.errors and all("422" in error for error in watched.errors)
    watched.errors.clear()
    page.context.clear_cookies(name="dealrec_key")
    budget.fill("5")
    page.get_by_role("button", name="Start the job").click()
    expect(page.get_by_text("in another tab and then send this form again")).to_be_visible()
    _still_there(page)


def _still_there(page: Page) -> None:
    expect(page.get_by_label("Epochs").first).to_have_value("3")
    expect(page.get_by_label("With effort")).to_be_checked()


def test_the_start_of_a_job_stays_in_sight_on_a_phone(open_page: Open, results: Results) -> None:
    page = open_page(width=390, tenant=results.tenant).page
    page.goto("/console/jobs/new")
    expect(page.get_by_role("button", name="Start the job")).to_be_in_viewport(ratio=1)
