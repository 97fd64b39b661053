import errno
from pathlib import Path

import pytest

from dealrec.disk import reserve
from tests.chaos.disk import SmallDisk


def test_a_reserved_file_has_a_place_for_each_byte_and_keeps_what_it_held(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b"first")
    reserve(path, 100_000)
    state = path.stat()
    assert state.st_size == 100_000
    assert state.st_blocks * 512 >= 100_000
    assert path.read_bytes()[:8] == b"first\0\0\0"


def test_a_full_disk_is_an_error_before_anything_is_mapped(full_disk: SmallDisk) -> None:
    path = full_disk.folder / "rows"
    with pytest.raises(
        OSError, match=r"No space left on device \(100,000 bytes are needed\)"
    ) as no:
        reserve(path, 100_000)
    assert no.value.errno == errno.ENOSPC
    assert not path.exists()
