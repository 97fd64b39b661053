from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.disk import SmallDisk


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of its own without a free byte."""
    disk = SmallDisk(tmp_path / "disk", mebibytes=1)
    if not disk.mounted:
        pytest.skip("a file system cannot be mounted here")
    disk.fill()
    yield disk
    disk.remove()
