"""The ML engineer's work: a pipeline calls the API, and the console shows and hands out its results."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from dealrec.client import Client
from tests.browser.conftest import Server, Watched
from tests.browser.looks import glance
from tests.browser.results import Results

Open = Callable[..., Watched]
TRAINED: dict[str, Any] = {
    "surrogate": {"epochs": 1, "hidden_size": 8, "heads": 1, "layers": 1},
    "selection": {"strata": 4},
    "finetune": {"model": "tiny", "epochs": 1, "batch_size": 8, "lora": {"last_layers": 1}},
}


def test_a_nightly_pipeline_ends_in_a_coreset_and_an_adapter_and_goes_on_the_next_night(
    open_page: Open, server: Server, sample: Path
) -> None:
    """On a phone, in the dark: what the pipeline has uploaded and started is looked at and taken along."""
    watched = open_page(390, "nightly", "dark")
    page = watched.page
    with Client(server.url, server.key("nightly")) as pipeline:
        first = pipeline.prune(
            sample / "interactions.csv",
            items=sample / "items.csv",
            budget=12,
            config=TRAINED,
            name="Nightly",
        )
        page.goto("/console/jobs")
        page.get_by_role("link", name="Nightly").first.click()
        page.get_by_role("link", name="Open coreset").wait_for(timeout=150_000)
        page.get_by_role("link", name="Adapter", exact=True).wait_for(timeout=150_000)
        expect(page.get_by_role("img", name="Distribution of the overall score")).to_be_visible()
        glance(page, "engineer-job")
        page.get_by_role("link", name="Adapter", exact=True).click()
        expect(page.get_by_role("heading", name="Model card")).to_be_visible()
        glance(page, "engineer-adapter")
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Download zip").click()
        names = zipfile.ZipFile(io.BytesIO(waiting.value.path().read_bytes())).namelist()
        assert "adapter_model.safetensors" in names
        later = sample / "later.csv"
        later.write_text("user_id,item_id,timestamp\nu0001,i0001,1900000000\n")
        second = pipeline.datasets.get(first.dataset_id).append(later).wait()
    page.goto(f"/console/datasets/{second.id}")
    page.get_by_role("link", name="New job").click()
    earlier = page.get_by_label("Continue from an earlier job")
    how = page.get_by_label("The new coreset")
    expect(how).to_be_hidden()
    earlier.select_option(first.id)
    expect(page.get_by_label("Share to replace")).to_be_hidden()
    how.select_option("replace")
    expect(page.get_by_label("Share to replace")).to_be_visible()
    how.select_option("top_up")
    page.get_by_label("Budget", exact=True).fill("14")
    page.get_by_label("Unit of the budget").select_option("samples")
    expect(page.locator(".sums")).to_contain_text("14")
    glance(page, "engineer-going-on")
    page.get_by_role("button", name="Start the job").click()
    expect(page.get_by_text("continues from")).to_be_visible()
    page.get_by_role("link", name="Open coreset").click(timeout=150_000)
    assert _members(page) > set(pipeline_members(server, first.id))
    assert not watched.errors


def _members(page: Page) -> set[str]:
    """The keys in the file that the coreset's page hands out."""
    with page.expect_download() as waiting:
        page.get_by_role("link", name="JSON Lines", exact=True).click()
    lines = waiting.value.path().read_text().splitlines()
    return {json.loads(line)["sample_key"] for line in lines}


def pipeline_members(server: Server, job_id: str) -> list[str]:
    """The keys of a job's coreset, as the pipeline gets them."""
    with Client(server.url, server.key("nightly")) as pipeline:
        return [one.sample_key for one in pipeline.jobs.get(job_id).coreset.samples()]


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
