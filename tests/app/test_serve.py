"""``dealrec serve`` refuses an address that it cannot use before it writes anything."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dealrec.app.serve import serve
from dealrec.app.settings import Settings
from dealrec.errors import InputError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_named_with_the_option_that_helps_and_nothing_is_written(
    taken: int, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"port {taken} of 127.0.0.1.*--port"):
        serve(Settings(data_dir=tmp_path / "data"), "127.0.0.1", taken)
    assert not (tmp_path / "data").exists()
