"""A pinned commit is downloaded from a server that speaks the hub's endpoints for files and revisions."""

import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
import typer
from typer.testing import CliRunner

from dealrec.errors import InputError
from dealrec.language_models.pulling import _talking_to_hub
from dealrec.models_cli import register
from tests.dealrec.language_models.qwen import qwen_folder

COMMIT = "7ae557604adf67be50417f59c2c2f167def9a775"
TOKEN = "hf_test"


class Hub(BaseHTTPRequestHandler):
    """The hub's endpoints of revisions, of trees and of files, for the files of a folder.

    The repository ``org/gated`` asks for a token.
    """

    folder: Path
    asked: list[str]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = unquote(self.path.partition("?")[0])
        if "org/gated" in path and self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._send(401, b"", {"x-error-code": "GatedRepo"}, body=body)
        elif "broken/x" in path:
            self._send(500, b"", {}, body=body)
        elif path.startswith("/api/models/org/") and "/revision/" in path:
            files = [{"rfilename": name.name} for name in sorted(self.folder.iterdir())]
            files += [{"rfilename": "modeling_own.py"}, {"rfilename": "original/model.safetensors"}]
            facts = {"id": "org/tiny", "sha": COMMIT, "siblings": files, "private": False}
            self._send(
                200, json.dumps(facts).encode(), {"content-type": "application/json"}, body=body
            )
        elif path.startswith("/api/models/org/") and "/tree/" in path:
            tree = [
                {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": "0" * 40}
                for f in sorted(self.folder.iterdir())
            ]
            tree += [{"type": "file", "path": "modeling_own.py", "size": 5, "oid": "1" * 40}]
            tree += [
                {"type": "file", "path": "original/model.safetensors", "size": 5, "oid": "1" * 40}
            ]
            self._send(
                200, json.dumps(tree).encode(), {"content-type": "application/json"}, body=body
            )
        elif f"/resolve/{COMMIT}/" in path:
            name = path.rpartition("/")[2]
            content = (self.folder / name).read_bytes()
            self.asked.append(name)
            tag = f'"{sha256(content).hexdigest()}"'
            self._send(200, content, {"etag": tag, "x-repo-commit": COMMIT}, body=body)
        else:
            self._send(404, b"", {"x-error-code": "RepoNotFound"}, body=body)

    def _send(self, status: int, content: bytes, headers: dict[str, str], *, body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    Hub.folder, Hub.asked = qwen_folder(tmp_path_factory.mktemp("hub") / "tiny"), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def dealrec(hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run ``dealrec models … --json``, and read what it prints."""
    for name, value in {
        "HF_HOME": str(tmp_path / "hf"),
        "DEALREC_MODELS": str(tmp_path / "models.toml"),
        "DEALREC_DEVICE": "cpu",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "*")
    application = typer.Typer()
    register(application)

    def run(*arguments: str, token: str = "", address: str = hub, code: int = 0) -> dict:
        done = CliRunner().invoke(
            application,
            ["models", *arguments, "--json"],
            env={"HF_ENDPOINT": address, "HF_TOKEN": token},
        )
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.stdout)

    return run


def test_a_commit_is_pulled_with_its_weights_and_without_code(dealrec, tmp_path: Path) -> None:
    added = dealrec("add", "tiny", "--repository", "org/tiny", "--revision", "main")
    assert (added["revision"], added["available"]) == (COMMIT, False)
    assert "run `dealrec models pull tiny`" in added["reason"]
    pulled = dealrec("pull", "tiny")
    assert (pulled["available"], pulled["family"]) == (True, "qwen3")
    names = {path.name for path in Path(pulled["folder"]).iterdir()}
    assert names == {path.name for path in Hub.folder.iterdir()}
    assert Path(pulled["folder"]).is_relative_to(tmp_path / "hf")
    assert "modeling_own.py" not in Hub.asked
    checked = dealrec("check", "tiny")
    assert checked["content"] == COMMIT and checked["effort_error"] < 1e-4


def test_what_the_hub_refuses_is_said(dealrec) -> None:
    dealrec("add", "gated", "--repository", "org/gated", "--revision", COMMIT)
    dealrec("add", "gone", "--repository", "else/gone", "--revision", COMMIT)
    assert (
        "accept its terms on the Hugging Face Hub, and set HF_TOKEN"
        in dealrec("pull", "gated", code=2)["detail"]
    )
    assert dealrec("pull", "gated", token=TOKEN)["available"] is True
    assert "no repository else/gone" in dealrec("pull", "gone", code=2)["detail"]
    assert dealrec("pull", "smollm2-135m", code=2)["code"] == "nothing_to_pull"


def test_a_hub_that_cannot_be_reached_is_said(dealrec, monkeypatch: pytest.MonkeyPatch) -> None:
    dealrec("add", "gone", "--repository", "else/gone", "--revision", COMMIT)
    clock = SimpleNamespace(sleep=lambda _: None)  # the library tries five times, for half a minute
    monkeypatch.setattr("huggingface_hub.utils._http.time", clock)
    unpinned = ("add", "main", "--repository", "else/gone", "--revision", "main")
    for asked in (("pull", "gone"), unpinned):
        nobody = dealrec(*asked, address="http://127.0.0.1:9", code=2)
        assert "the Hugging Face Hub cannot be reached" in nobody["detail"]


def test_a_hub_that_fails_is_said(dealrec) -> None:
    broken = dealrec("add", "x", "--repository", "broken/x", "--revision", "main", code=2)
    assert "the Hugging Face Hub answered with status 500" in broken["detail"]


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_whichever_library_the_hub_is_asked_through_a_failure_is_said(library: str) -> None:
    failure = pytest.importorskip(library).ConnectError
    with pytest.raises(InputError, match="cannot be reached"), _talking_to_hub("x", "else/x"):
        raise failure("no route")
