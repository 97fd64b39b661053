"""Every page, at two widths, in light and dark; and without a pointer."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.looks import look
from tests.browser.results import Results

Open = Callable[..., Watched]


def test_every_page_is_accessible_fits_and_has_no_errors(open_page: Open, results: Results) -> None:
    watched = open_page(tenant=results.tenant)
    page = watched.page
    for name, path in results.pages().items():
        page.goto(path)
        expect(page.locator("[hx-trigger=load] > [role=status]")).to_have_count(0)
        look(page, name)
        assert not watched.errors, f"{name}: {watched.errors}"


def test_pages_of_nothing_yet_say_how_to_begin(open_page: Open) -> None:
    watched = open_page()
    page = watched.page
    for path, words in (
        ("/console/datasets", "No data sets yet"),
        ("/console/jobs", "No jobs yet"),
        ("/console/jobs/new", "No data set to work on"),
        ("/console/coresets", "No coresets yet"),
        ("/console/adapters", "No adapters yet"),
        ("/", "First steps"),
    ):
        page.goto(path)
        expect(page.get_by_text(words)).to_be_visible()
    look(page, "first-overview")
    assert not watched.errors


def test_what_is_not_there_is_said_on_a_page(open_page: Open) -> None:
    watched = open_page()
    page = watched.page
    page.goto("/console/jobs/job_0")
    expect(page.get_by_role("alert").filter(has_text="Not found")).to_be_visible()
    look(page, "problem")


def test_the_page_of_the_api_shows_its_operations(open_page: Open) -> None:
    watched = open_page()
    watched.page.goto("/docs")
    expect(watched.page.get_by_text("/v1/prune", exact=True)).to_be_visible()
    assert not watched.errors


def test_the_theme_can_be_changed_by_keyboard_and_stays(open_page: Open) -> None:
    watched = open_page()
    page = watched.page
    page.goto("/")
    page.keyboard.press("Tab")
    skip = page.get_by_text("Skip to content")
    expect(skip).to_be_focused()
    skip.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("button", name="Light / dark").press("Enter")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert not watched.errors


def test_a_swap_hands_the_focus_on_and_keeps_open_what_was_open(
    open_page: Open, results: Results
) -> None:
    watched = open_page(tenant=results.tenant)
    page = watched.page
    page.goto(f"/console/coresets/{results.finished.coreset}")
    rows = page.get_by_role("region", name="Samples").locator("tbody tr")
    expect(rows).to_have_count(11)
    page.get_by_role("button", name="More samples").press("Enter")
    expect(rows).to_have_count(12)
    expect(rows.nth(10).get_by_role("button", name="Why")).to_be_focused()
    assert not watched.errors
