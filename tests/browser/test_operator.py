"""The platform engineer's work: keys, tenants that do not see each other, a job that fails, readiness."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import expect

from dealrec.client import ApiError, Client
from tests.browser.conftest import Server, Watched
from tests.browser.looks import glance, look
from tests.browser.results import Results
from tests.browser.test_engineer import TRAINED

Open = Callable[..., Watched]


def test_a_key_opens_the_console_and_signing_out_closes_it(
    open_page: Open, server: Server, results: Results
) -> None:
    watched = open_page(tenant=None)
    page = watched.page
    page.goto("/console/jobs")
    look(page, "sign-in")
    page.get_by_label("API key").fill(f"dr_{'x' * 30}")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").filter(has_text="unknown")).to_be_visible()
    look(page, "sign-in-problem")
    page.get_by_label("API key").fill(server.key(results.tenant))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=results.failed)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/console/jobs")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert all("401" in error for error in watched.errors)


def test_a_tenant_sees_nothing_of_another(open_page: Open, results: Results) -> None:
    watched = open_page(tenant="somebody-else")
    page = watched.page
    for path in results.pages().values():
        answer = page.goto(path)
        assert answer is not None
        for theirs in (results.finished.dataset, results.finished.job, results.finished.coreset):
            if theirs in path:
                assert answer.status == 404
            else:
                assert theirs not in page.content()
    assert all("404" in error for error in watched.errors)


def test_a_team_gets_a_key_and_its_failed_job_is_mended(
    open_page: Open, server: Server, sample: Path
) -> None:
    """On a phone: a key for a team's pipeline, a stage that fails, its retry, the result, the key's end."""
    watched = open_page(390)
    page = watched.page
    page.goto("/")
    page.get_by_role("link", name="Keys").click()
    page.get_by_label("Name").fill("team pipeline")
    page.get_by_role("button", name="Create the key").click()
    key = page.locator("#made-key").inner_text()
    headers = {"authorization": f"Bearer {key}"}
    assert httpx.get(f"{server.url}/metrics", headers=headers).status_code == 403
    glance(page, "operator-key")
    page.goto("/console/keys")
    expect(page.locator("#made-key")).to_have_count(0)
    with Client(server.url, key) as team:
        job = _job_whose_model_is_lost(team, server, sample)
    page.get_by_role("link", name="Server").click()
    expect(page.locator(".badge").first).to_have_text("ready")
    expect(page.get_by_role("region", name="Workers").locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("region", name="Queues")).to_contain_text("gpu")
    expect(page.get_by_text("free on the disk")).to_be_visible()
    expect(page.get_by_role("region", name="Failed jobs")).to_contain_text("Fine-tuning")
    glance(page, "operator-server")
    (server.models / "lost").rename(server.models / "fragile")
    page.get_by_role("button", name="Retry").click()
    page.get_by_role("link", name="Adapter", exact=True).wait_for(timeout=150_000)
    page.get_by_role("link", name="Open coreset").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Parquet", exact=True).click()
    assert pq.read_table(waiting.value.path()).num_rows == 12
    page.get_by_role("link", name="Keys").click()
    page.get_by_role("button", name="Revoke team pipeline").click()
    expect(page.get_by_role("row", name="team pipeline")).to_contain_text("revoked")
    assert httpx.get(f"{server.url}/v1/jobs/{job}", headers=headers).status_code == 401
    assert not watched.errors


def _job_whose_model_is_lost(team: Client, server: Server, sample: Path) -> str:
    """Upload and start a job as the team, and take its language model away before it is trained."""
    rows, items = sample / "interactions.csv", sample / "items.csv"
    dataset = team.datasets.create(rows, items=items, name="Team").wait()
    config = {**TRAINED, "finetune": {**TRAINED["finetune"], "model": "fragile"}}
    job = team.jobs.create(dataset.id, budget=12, config=config)
    (server.models / "fragile").rename(server.models / "lost")
    with pytest.raises(ApiError):
        job.wait(timeout=120)
    return job.id


def test_a_webhook_is_added_tried_and_deleted(open_page: Open) -> None:
    watched = open_page()
    page = watched.page
    page.goto("/")
    page.get_by_role("link", name="Webhooks").click()
    page.get_by_label("Address").fill("https://10.0.0.1/hooks")
    page.get_by_role("button", name="Add the webhook").click()
    expect(page.get_by_label("Address")).to_be_focused()
    page.get_by_label("Address").fill("http://127.0.0.1:9/hooks")
    page.get_by_role("button", name="Add the webhook").click()
    expect(page.locator("#made-secret")).to_contain_text("whsec_")
    look(page, "webhook-made")
    page.get_by_role("button", name="Send a test message").click()
    expect(page.get_by_role("row", name="webhook.ping")).to_be_visible()
    expect(page.locator("#made-secret")).to_have_count(0)
    page.get_by_text("Delete this webhook").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("No webhooks yet")).to_be_visible()
    assert all("422" in error for error in watched.errors)


def test_metrics_are_for_an_administrators_key(server: Server) -> None:
    with server.client("operations") as client:
        assert "dealrec_" in client.get("/metrics").text


def test_readiness_is_read_from_the_servers_page(open_page: Open) -> None:
    watched = open_page()
    watched.page.goto("/console/server")
    watched.page.get_by_role("link", name="Readiness").click()
    expect(watched.page.get_by_text('"status":"ready"')).to_be_visible()
    assert not watched.errors
