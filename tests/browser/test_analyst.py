"""The analyst's work: upload, watch the job, read why, select again, compare, download."""

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched, press
from tests.browser.looks import look
from tests.browser.results import Results

Open = Callable[..., Watched]


def test_from_upload_to_download(open_page: Open, sample: Path, tmp_path: Path) -> None:
    """Without a pointer, from the first page to the files."""
    watched = open_page()
    page = watched.page
    page.goto("/")
    press(page.get_by_role("link", name="Add your interactions"))
    _upload(page, sample)
    press(page.get_by_role("link", name="New job"))
    _start_a_job(page)
    _watch(page)
    press(page.get_by_role("link", name="Open coreset"))
    kept = _read_why(page)
    _look_at_the_map(page)
    press(page.get_by_role("link", name="Compare", exact=True))
    expect(page.get_by_text("trainings", exact=False).first).to_be_visible()
    _select_again(page)
    _compare_budgets(page)
    press(page.get_by_role("link", name="Samples", exact=True))
    assert kept != _download(page, tmp_path, "JSON Lines")
    for words in ("Parquet", "CSV", "Manifest", "Report"):
        assert _download(page, tmp_path, words), words
    page.get_by_label("For fine-tuning elsewhere").select_option("alpaca")
    with page.expect_download() as waiting:
        press(page.get_by_role("button", name="Download"))
    assert "alpaca" in waiting.value.suggested_filename
    assert not watched.errors


def _upload(page: Page, sample: Path) -> None:
    """A file that calls two columns otherwise, one by a known name, with a row that cannot be used."""
    page.get_by_label("Interactions", exact=True).set_input_files(sample / "renamed.csv")
    page.get_by_label("Items", exact=True).set_input_files(sample / "items.csv")
    expect(page.get_by_text("Enter which of them is item_id.")).to_be_visible()
    page.get_by_label("item_id is called").fill("what")
    page.get_by_label("Name", exact=True).fill("Spring games")
    look(page, "upload")
    press(page.get_by_role("button", name="Upload"))
    expect(page.get_by_role("heading", name="Spring games")).to_be_visible()
    expect(page.get_by_text("accepted rows")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("cell", name="The item id is empty.")).to_be_visible()
    for title in ("Interactions over time", "Lengths of histories", "Popularity of items"):
        expect(page.get_by_role("group", name=title)).to_be_visible()
    first = page.locator("#samples details").first
    press(first.locator("summary"))
    expect(first.get_by_text("Instruction")).to_be_visible()
    page.get_by_label("One sample per").select_option("per_interaction")
    expect(page.locator("#samples code").first).to_have_text("u0001:1")


def _start_a_job(page: Page) -> None:
    press(page.get_by_text("Customize"))
    expect(page.get_by_label("Measure effort")).not_to_be_checked()
    page.get_by_label("Method", exact=True).select_option("dealrec")
    expect(page.get_by_label("Measure effort")).to_be_checked()
    expect(page.get_by_label("Effort weight λ")).to_be_visible()
    page.get_by_label("Method", exact=True).select_option("influence_strata")
    expect(page.get_by_label("Measure effort")).not_to_be_checked()
    expect(page.get_by_label("Effort weight λ")).to_be_hidden()
    page.get_by_label("Epochs").first.fill("1")
    page.get_by_label("Budget", exact=True).fill("20")
    expect(page.get_by_text("Samples to select")).to_be_visible()
    expect(page.locator(".sums")).to_contain_text("24")
    expect(page.get_by_text("more than the budget of 24 samples")).to_be_visible()
    press(page.get_by_role("button", name="Start the job"))


def _watch(page: Page) -> None:
    """The whole test happens on one page, which is never loaded anew."""
    expect(
        page.get_by_role("heading", name="Spring games · 20 % · influence strata")
    ).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_text("more than the budget of 24 samples")).to_be_visible()
    page.evaluate("window.sameAsBefore = true")
    look(page, "job-running")
    page.get_by_role("link", name="Open coreset").wait_for(timeout=150_000)
    expect(page.get_by_role("img", name="Distribution of the overall score")).to_be_visible()
    expect(page.get_by_text("job.succeeded")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    expect(page.locator("#announcer")).to_have_text("Job succeeded")
    assert page.evaluate("window.sameAsBefore")


def _read_why(page: Page) -> str:
    press(page.get_by_role("button", name="Why").first)
    expect(page.get_by_text("Selected: ").first).to_be_visible()
    press(page.get_by_role("button", name="Show the most similar samples"))
    expect(page.locator(".alike-list li")).to_have_count(8)
    shown = set(page.locator("#members .sample > details code").all_text_contents())
    left_out = next(key for key in (f"u{n:04}" for n in range(1, 121)) if key not in shown)
    press(page.get_by_text("Look up a sample by its key"))
    page.get_by_label("Key of a sample").fill(left_out)
    press(page.get_by_role("button", name="Look up"))
    expect(page.locator("#looked-up code").first).to_have_text(left_out)
    expect(page.locator("#looked-up .badge")).to_be_visible()
    page.get_by_label("Show", exact=True).select_option("false")
    expect(page.locator("#members .badge").first).to_have_text("left out")
    page.get_by_label("Sort by").select_option("overall")
    expect(page.get_by_text("96 in all")).to_be_visible()
    press(page.get_by_role("link", name="Scores", exact=True))
    expect(
        page.get_by_role("img", name="Samples in each stratum, and samples selected from it")
    ).to_be_visible()
    expect(page.get_by_text("as many at random").first).to_be_visible()
    figure = page.locator("figure").filter(has_text="Distribution of influence")
    press(figure.get_by_role("group"), "End")
    last = figure.locator(".readout").inner_text()
    assert "of as many drawn at random" in last
    press(figure.get_by_role("group"), "ArrowLeft")
    assert figure.locator(".readout").inner_text() not in ("", last)
    return page.url


def _look_at_the_map(page: Page) -> None:
    press(page.get_by_role("link", name="Map", exact=True))
    plot = page.get_by_role("group", name="Map of the samples")
    press(plot, "Home")
    press(plot, "Enter")
    expect(page.locator("#on-the-map .sample").first).to_be_visible()
    page.get_by_label("Colour by").select_option("influence")
    expect(page.get_by_text("from the lowest to the highest influence")).to_be_visible()


def _select_again(page: Page) -> None:
    page.get_by_label("Budget", exact=True).fill("12")
    page.get_by_label("Strata K").first.fill("4")
    press(page.get_by_role("button", name="Select", exact=True))
    expect(
        page.get_by_role("heading", name="Spring games · 12 samples · influence strata")
    ).to_be_visible()
    expect(page.get_by_text("Jaccard")).to_be_visible()
    press(page.get_by_text("Lost samples"))
    press(page.locator(".keys button").last)
    expect(page.locator("#compared")).to_contain_text("left out")


def _compare_budgets(page: Page) -> None:
    page.get_by_label("Budgets").fill("6, 24")
    press(page.get_by_role("button", name="Show", exact=True))
    table = page.get_by_role("region", name="Other budgets")
    expect(table.get_by_role("rowheader", name="24")).to_be_visible()
    look(page, "coreset-compared")


def _download(page: Page, folder: Path, words: str) -> str:
    with page.expect_download() as waiting:
        press(page.get_by_role("link", name=words, exact=True))
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    if words == "JSON Lines":
        lines = path.read_text().splitlines()
        assert len([json.loads(line)["sample_key"] for line in lines]) == 12
    return path.name


def test_a_refused_file_is_said_at_its_field_and_replaced_alone(
    open_page: Open, sample: Path
) -> None:
    watched = open_page(width=390)
    page = watched.page
    page.goto("/console/datasets")
    interactions = page.get_by_label("Interactions", exact=True)
    interactions.set_input_files(sample / "empty.csv")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".field-error")).to_have_text("This is empty: empty.csv.")
    interactions.set_input_files(sample / "items.csv")
    page.get_by_label("Items", exact=True).set_input_files(sample / "items.csv")
    page.get_by_label("Name", exact=True).fill("x\u0000y")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    expect(page.get_by_role("button", name="Upload")).to_be_enabled()
    look(page, "upload-problem")
    page.get_by_label("Name", exact=True).fill("mended")
    page.get_by_role("button", name="Upload").click()
    page.get_by_label("Replace interactions").set_input_files(sample / "interactions.csv")
    expect(page.get_by_text("items.csv is read again").last).to_be_visible()
    page.get_by_role("button", name="Read again").click()
    expect(page.get_by_role("heading", name="Shape")).to_be_visible()
    expect(page.get_by_role("heading", name="mended")).to_be_visible()
    assert all("422" in error for error in watched.errors)


def test_addresses_stand_in_for_files(open_page: Open, sample: Path) -> None:
    watched = open_page()
    page = watched.page
    page.goto("/console/datasets")
    page.get_by_text("Use addresses instead of files").click()
    page.get_by_label("Addresses of interactions").fill("file:///etc/passwd")
    page.get_by_role("button", name="Upload").click()
    alert = page.get_by_role("alert")
    expect(alert.filter(has_text="is not an address that this server may read")).to_be_visible()
    page.get_by_label("Interactions", exact=True).set_input_files(sample / "interactions.csv")
    page.get_by_role("button", name="Upload").click()
    expect(alert.filter(has_text="not both")).to_be_visible()
    page.get_by_label("Interactions", exact=True).set_input_files([])
    folder = sample.as_uri()
    page.get_by_label("Addresses of interactions").fill(f"\n{folder}/interactions.csv\n")
    page.get_by_label("Addresses of items").fill(f"{folder}/items.csv")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="Read the files again")).to_be_visible()
    assert all("422" in error for error in watched.errors)


def test_samples_are_listed_by_drawing_around_them(open_page: Open, results: Results) -> None:
    watched = open_page(tenant=results.tenant)
    page = watched.page
    page.goto(f"/console/coresets/{results.finished.coreset}?tab=map")
    plot = page.locator(".map svg")
    box = plot.bounding_box()
    assert box is not None
    left, top, size = box["x"], box["y"], box["width"]
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.5), (0.5, 0.5), (0.5, 0.98), (0.02, 0.98)]
    page.mouse.move(left + corners[0][0] * size, top + corners[0][1] * size)
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(left + x * size, top + y * size, steps=2)
    page.mouse.up()
    listed = page.locator("#on-the-map .sample")
    expect(listed.first).to_be_visible()
    expect(page.locator("#on-the-map")).to_contain_text("in all")
    look(page, "coreset-map-outlined")
    page.mouse.click(left + 0.5 * size, top + 0.5 * size)
    expect(page.locator(".map polygon")).to_have_count(1)
    assert not watched.errors
