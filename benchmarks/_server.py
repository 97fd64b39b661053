"""``dealrec serve`` in a process of its own, to be measured."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import httpx

from dealrec.app.settings import Settings


@contextmanager
def served(settings: Settings) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The API's address and its process, which has the embedded worker as a child."""
    with socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("DEALREC_")},
        "DEALREC_DATA_DIR": str(settings.data_dir),
        "DEALREC_DATABASE_URL": settings.resolved_database_url,
        "DEALREC_UPLOAD_PART_BYTES": str(settings.upload_part_bytes),
        "DEALREC_TORCH_THREADS": str(settings.torch_threads or 1),
    }
    command = [sys.executable, "-m", "dealrec", "serve", "--port", str(port)]
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with log_path(settings).open("wb") as log:
        service = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    try:
        while not _ready(base):
            if service.poll() is not None:
                raise RuntimeError(f"the service did not start; see {log_path(settings)}")
            time.sleep(0.1)
        yield base, service
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(30)


def _ready(base: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{base}/readyz").status_code == 200
    return False


def log_path(settings: Settings) -> Path:
    """Where the service writes a line for each request."""
    return settings.data_dir / "serve.log"
