"""The headers that tell browsers what they may do."""

import re

from fastapi.testclient import TestClient

from tests.app.conftest import Finisher


def test_data_is_neither_a_page_nor_a_script_of_another_site(client: TestClient) -> None:
    for answer in (client.get("/v1/jobs"), client.get("/nothing"), client.get("/healthz")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        policy = answer.headers["content-security-policy"]
        assert policy == "default-src 'none'; frame-ancestors 'none'"


def test_reports_run_nothing_and_the_console_keeps_its_own_policy(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    path = finisher.folder / "report.html"
    path.write_text("<title>Report</title>")
    finisher.storage.put_file(f"coresets/default/{made.coreset}/report.html", path)
    report = client.get(f"/v1/coresets/{made.coreset}/report")
    assert report.status_code == 200
    assert "sandbox" in report.headers["content-security-policy"]
    assert "script-src" not in report.headers["content-security-policy"]
    assert report.headers["content-disposition"].startswith("attachment")
    assert "script-src 'self'" in client.get("/").headers["content-security-policy"]


def test_the_page_of_the_api_needs_no_other_server(client: TestClient) -> None:
    page = client.get("/docs")
    assert "https:" not in page.headers["content-security-policy"]
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) == 3
    for path in files:
        assert path.startswith("/console/static/")
        assert client.get(path).status_code == 200
