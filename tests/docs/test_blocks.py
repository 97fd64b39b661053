"""Every code block of the documentation runs as it is written, page by page."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN = {"sh", "python"}
NOT_RUN = {""}
"""Formulas and drawings."""
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
RUN_ELSEWHERE = {
    "make demo": "tests/dealrec/test_demo.py",
    "pip install --no-deps": "tests/deploy/test_lock.py",
    "export POSTGRES_PASSWORD": "tests/deploy/test_compose.py",
    "dealrec compare": "tests/dealrec/comparison",
    "dealrec inspect interactions.csv\ndealrec prune": "tests/dealrec/test_pipeline.py",
    "dealrec prune interactions.csv --items items.csv --budget 2% --out result --track": (
        "tests/dealrec/tracking"
    ),
    "dealrec prune interactions.csv --items items.csv --append": (
        "tests/dealrec/stages/test_continuation.py"
    ),
    "dealrec prune interactions.csv --items items.csv --target": (
        "tests/dealrec/comparison/test_targets.py"
    ),
}
"""How blocks begin that a page does not run, and the tests that try what they do."""


def blocks(page: Path) -> list[tuple[str, str]]:
    found = FENCED.findall(page.read_text(encoding="utf-8"))
    return [(name, code) for name, code in found if not code.startswith(tuple(RUN_ELSEWHERE))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_block_says_what_it_is(page):
    assert {language for language, _ in blocks(page)} <= RUN | NOT_RUN


@pytest.mark.parametrize("place", RUN_ELSEWHERE.values())
def test_what_is_run_elsewhere_is_there(place):
    assert (ROOT / place).exists()


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """An S3 server with an empty bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    secrets = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="documentation")
    yield {
        **secrets,
        "AWS_ENDPOINT": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "BUCKET": "documentation",
    }
    server.stop()


@pytest.mark.parametrize(
    "page",
    [p for p in PAGES if RUN & {language for language, _ in blocks(p)}],
    ids=lambda p: p.stem,
)
def test_the_page_does_what_it_says(page, tmp_path, request):
    given = {k: v for k, v in os.environ.items() if not k.startswith(("DEALREC_", "AWS_"))}
    if page.stem == "postgres-and-celery":
        given["DATABASE_URL"] = request.getfixturevalue("postgres_url")
        given["BROKER_URL"] = request.getfixturevalue("broker_url")
    if page.stem == "s3":
        given |= request.getfixturevalue("bucket")
    given["PATH"] = f"{Path(sys.executable).parent}:{given['PATH']}"
    script = ["set -euo pipefail"]
    for language, code in blocks(page):
        if language == "sh":
            script.append(code)
        elif language == "python":
            script.append(f"python -c {shlex.quote(code)}")
    port = f"{_free_port()}"
    text = re.sub(r"(localhost|127\.0\.0\.1):8000", rf"\1:{port}", "\n".join(script))
    text = text.replace("dealrec serve", f"dealrec serve --port {port}")
    with (tmp_path / "output.txt").open("w") as output:
        process = subprocess.Popen(
            ["bash", "-c", text],
            cwd=tmp_path,
            env={
                **given,
                "DEALREC_TORCH_THREADS": "1",
                "DEALREC_SERVER": f"http://127.0.0.1:{port}",
            },
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            status = process.wait(280)
        finally:
            _end(process.pid)
    logs = "".join(
        f"\n== {log.name}\n{log.read_text()[-3000:]}"
        for log in sorted(tmp_path.glob("*.[lt][ox]*"))
    )
    assert status == 0, logs


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def _end(group: int) -> None:
    """All that the page has started: politely, then not."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, sent)
        except ProcessLookupError:
            return
        for _ in range(80):
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)
