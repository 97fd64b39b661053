"""The pages of webhooks, and the warnings of options."""

from fastapi.testclient import TestClient

from tests.app.conftest import Finisher
from tests.app.console.test_pages import found_in, token, token_of


def test_a_webhook_is_made_shown_with_its_secret_once_tried_switched_off_and_deleted(
    client: TestClient,
) -> None:
    page = client.get("/console/webhooks").text
    assert page.count(" checked") == 3
    form = {"csrf": token_of(page), "url": "https://10.0.0.1/", "event.job.failed": "1"}
    refused = client.post("/console/webhooks", data=form)
    assert refused.status_code == 422 and "address_not_allowed" in refused.text
    assert found_in(refused.text, r'name="url" type="url" value="([^"]*)"') == form["url"]
    nothing = {"csrf": form["csrf"], "url": "https://1.1.1.1/x"}
    assert "events" in client.post("/console/webhooks", data=nothing).text
    made = client.post("/console/webhooks", data={**form, "url": "https://1.1.1.1/x"})
    secret = found_in(made.text, r"(whsec_[A-Za-z0-9+/=]+)")
    (webhook,) = client.get("/v1/webhooks").json()["data"]
    assert webhook["events"] == ["job.failed"]
    place = f"/console/webhooks/{webhook['id']}"
    assert secret not in client.get(place).text
    again = client.post(f"{place}/rotate", data=form).text
    assert found_in(again, r"(whsec_[A-Za-z0-9+/=]+)") != secret
    shown = client.post(f"{place}/ping", data=form).text
    assert "webhook.ping" in shown and "pending" in shown
    assert "Switch on" in client.post(f"{place}/switch", data=form).text
    assert "No webhooks yet" in client.post(f"{place}/delete", data=form).text


def test_a_delivered_message_is_sent_again(client: TestClient, finisher: Finisher) -> None:
    made = finisher.all()
    place = f"/console/webhooks/{made.webhook}"
    page = client.get(place).text
    assert "delivered" in page and f"/console/jobs/{made.job}" in page
    path = f"{place}/deliveries/{made.delivery}/redeliver"
    assert path in page
    shown = client.post(path, data={"csrf": token_of(page)}).text
    assert "pending" in shown and path not in shown


def test_options_without_effect_are_warned_of_on_the_jobs_page_and_before_it_starts(
    client: TestClient, finisher: Finisher
) -> None:
    form = {
        "csrf": token(client),
        "dataset_id": finisher.dataset().id,
        "budget": "5",
        "selection.method": "influence_strata",
        "selection.strata": "50",
    }
    warning = "more than the budget of 5 samples"
    assert warning in client.post("/console/jobs/estimate", data=form).text
    assert warning in client.post("/console/jobs", data=form).text
