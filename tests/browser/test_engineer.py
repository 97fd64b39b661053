"""The ML engineer's work: a pipeline calls the API, and the console shows and hands out its results."""

import io
import zipfile
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Server, Watched
from tests.browser.results import Results

Open = Callable[..., Watched]


def test_what_a_pipeline_started_is_seen_stopped_and_made_again(
    open_page: Open, server: Server, results: Results
) -> None:
    config = {"effort": None, "surrogate": {"epochs": 40}, "selection": {"strata": 7}}
    body = {"dataset_id": results.finished.dataset, "budget": 0.2, "config": config}
    with server.client(results.tenant) as pipeline:
        made = pipeline.post("/v1/jobs", json=body).raise_for_status().json()
        job = made["id"]
        watched = open_page(tenant=results.tenant)
        page = watched.page
        page.goto("/console/jobs")
        page.get_by_role("link", name=made["name"], exact=True).click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#live .badge").first).to_have_text("cancelled")
        page.get_by_role("link", name="New job like this").click()
        expect(page.get_by_label("Epochs").first).to_have_value("40")
        expect(page.get_by_label("Strata K").first).to_have_value("7")
        expect(page.get_by_label("Budget", exact=True)).to_have_value("20")
        expect(page.get_by_label("Measure effort")).not_to_be_checked()
        assert pipeline.get(f"/v1/jobs/{job}").json()["state"] == "cancelled"
    assert not watched.errors


def test_an_adapter_is_downloaded_from_a_phone(open_page: Open, results: Results) -> None:
    watched = open_page(width=390, tenant=results.tenant)
    page = watched.page
    page.goto("/console/adapters")
    page.get_by_role("link", name=results.finished.adapter).click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download zip").click()
    names = zipfile.ZipFile(io.BytesIO(waiting.value.path().read_bytes())).namelist()
    assert "adapter_model.safetensors" in names
    assert not watched.errors
