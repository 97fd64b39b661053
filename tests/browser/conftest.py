"""A real server with its worker, and headless Chromium; skipped where there is no browser."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Server:
    """Where it listens, and its data folder."""

    url: str
    data: Path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = os.environ.get("DEALREC_TEST_CHROMIUM") or shutil.which("chromium")
    if found is None:
        pytest.skip("no browser: install chromium, or set DEALREC_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("console")
    given = {k: v for k, v in os.environ.items() if not k.startswith("DEALREC_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "dealrec.cli", "serve", "--port", "0", "--data-dir", str(data)],
        env={**given, "DEALREC_TORCH_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    url = line.split()[-1]
    try:
        _wait_until_it_answers(url)
        yield Server(url, data)
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_it_answers(url: str) -> None:
    """As long as a busy machine may need."""
    until = time.monotonic() + 120
    while True:
        try:
            httpx.get(f"{url}/healthz").raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


@dataclass
class Watched:
    """A page and all that its console complained of."""

    page: Page
    errors: list[str]


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def watched(browser: Browser, server: Server, request: pytest.FixtureRequest) -> Iterator[Watched]:
    context = browser.new_context(
        base_url=server.url,
        viewport={"width": request.param, "height": 900},
        accept_downloads=True,
    )
    page, errors = context.new_page(), []
    page.set_default_timeout(20_000)
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield Watched(page, errors)
    context.close()
