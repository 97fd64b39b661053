"""A real server with its worker, and headless Chromium; skipped where there is no browser.

Its language models are tiny and random, so that a training takes a second.

The server asks for keys: every test signs in as a tenant of its own.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from dealrec.app.keys.service import create_key
from dealrec.app.kit.caller import ALL_SCOPES
from dealrec.app.kit.database import Database
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from tests.browser.results import Results
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model

_PATIENCE = 60_000
"""Milliseconds; a step of one second may take this long on a busy machine."""
expect.set_options(timeout=_PATIENCE)
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
    """Where it listens, and the database, storage and language models that it works on."""

    url: str
    database: Database
    storage: Storage
    models: Path
    """The folders of the language models ``tiny`` and ``fragile``."""

    def key(self, tenant: str) -> str:
        """A new API key."""
        with self.database.session() as session:
            return create_key(session, "browser", tenant, scopes=ALL_SCOPES)[1]

    def client(self, tenant: str) -> httpx.Client:
        """A pipeline of the tenant."""
        headers = {"authorization": f"Bearer {self.key(tenant)}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    found = os.environ.get("DEALREC_TEST_CHROMIUM") or shutil.which("chromium")
    if found is None:
        pytest.skip("no browser: install chromium, or set DEALREC_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        yield browser
        browser.close()


def _made_models(folder: Path) -> Path:
    """Write two language models; returns the catalogue that names them."""
    lines = []
    for name in ("tiny", "fragile"):
        tiny_model().save_pretrained(folder / name)
        byte_tokenizer().save_pretrained(folder / name)
        lines.append(f'[models.{name}]\nfolder = "{name}"\nlicence = "apache-2.0"\n')
    catalogue = folder / "models.toml"
    catalogue.write_text("".join(lines))
    return catalogue


@pytest.fixture(scope="package")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data, models = tmp_path_factory.mktemp("console"), tmp_path_factory.mktemp("models")
    given = {k: v for k, v in os.environ.items() if not k.startswith("DEALREC_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "dealrec.cli", "serve", "--port", "0", "--data-dir", str(data)],
        env={
            **given,
            "DEALREC_TORCH_THREADS": "1",
            "DEALREC_MODELS": str(_made_models(models)),
            "DEALREC_REQUIRE_KEYS": "true",
            "DEALREC_WEBHOOK_NETWORKS": "127.0.0.1/32",
            "DEALREC_ALLOWED_ADDRESSES": tmp_path_factory.getbasetemp().as_uri(),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    settings = Settings(data_dir=data)
    database = Database(settings)
    try:
        _wait_until_it_answers(url)
        yield Server(url, database, Storage(settings), models)
    finally:
        database.dispose()
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


@pytest.fixture(scope="package")
def results(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Results of the tenant ``done``: jobs that ended in every way, a coreset, an adapter, a report."""
    server.key("done")  # makes the tenant
    return Results.made(server.database, server.storage, tmp_path_factory.mktemp("results"), "done")


@dataclass
class Watched:
    """A page, and all that went wrong on it; a test takes out what it provokes."""

    page: Page
    errors: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Note errors of the console, of scripts and of requests."""
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._refused)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _failed(self, request: Request) -> None:
        # Leaving a page ends its stream of events; a download is no page.
        if request.failure != "net::ERR_ABORTED":
            self.errors.append(f"{request.failure} {request.url}")

    def _refused(self, response: Response) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status} {response.url}")


def press(locator: Locator, key: str = "Enter") -> None:
    """Use an element as somebody without a pointer does; the Tab key must reach it."""
    assert locator.evaluate("it => it.tabIndex >= 0 && !it.disabled"), locator
    locator.press(key)


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[Callable[..., Watched]]:
    """Opens a browser of its own, signed in as ``tenant`` (a new one if not given)."""
    contexts = []

    def open_one(
        width: int = 1280,
        tenant: str | None = "",
        colours: Literal["light", "dark"] = "light",
    ) -> Watched:
        context = browser.new_context(
            base_url=server.url,
            viewport={"width": width, "height": 900},
            accept_downloads=True,
            reduced_motion="reduce",
            color_scheme=colours,
        )
        contexts.append(context)
        if tenant is not None:
            key = server.key(tenant or new_id("tn").replace("_", "-"))
            context.add_cookies([{"name": "dealrec_key", "value": key, "url": server.url}])
        page = context.new_page()
        page.set_default_timeout(_PATIENCE)
        watched = Watched(page)
        watched.listen()
        return watched

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture(scope="package")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``interactions.csv`` and ``items.csv``, the first with a column nobody knows, and an empty file."""
    folder = tmp_path_factory.mktemp("sample")
    command = [sys.executable, "-m", "dealrec.cli", "sample-data", str(folder)]
    subprocess.run([*command, "--users", "120", "--items", "60"], check=True, capture_output=True)
    rows = (folder / "interactions.csv").read_text().split("\n", 1)[1]
    (folder / "renamed.csv").write_text(f"reviewer,what,timestamp\n{rows}u1,,1700000000\n")
    (folder / "empty.csv").touch()
    return folder
