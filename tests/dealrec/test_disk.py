import errno
from pathlib import Path

import pytest

from dealrec.disk import remove_unfinished, reserve, written_whole
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


def test_a_file_is_replaced_when_the_block_ends_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    with written_whole(path) as part:
        part.write_text("first")
        assert not path.exists()
    with written_whole(path) as part:
        part.write_text("second")
        assert path.read_text() == "first"
    assert path.read_text() == "second"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_takes_the_place_of_an_empty_one_only(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    with written_whole(folder) as part:
        part.mkdir()
        (part / "weights").write_text("first")
    with pytest.raises(OSError, match="not empty"), written_whole(folder) as part:
        part.mkdir()
        (part / "weights").write_text("second")
    assert (folder / "weights").read_text() == "first"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_failed_write_leaves_what_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("first")
    with pytest.raises(KeyboardInterrupt), written_whole(path) as part:
        part.write_text("sec")
        raise KeyboardInterrupt
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_no_half_file(full_disk: SmallDisk) -> None:
    path = full_disk.folder / "rows"
    with pytest.raises(OSError, match="No space left"), written_whole(path) as part:
        part.write_bytes(b"x" * 100_000_000)
    assert not [left for left in full_disk.folder.iterdir() if "rows" in left.name]


def test_what_killed_processes_left_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / ".model.0a1b2c3d.part").mkdir()
    (tmp_path / ".model.4e5f6a7b.part").write_text("half")
    (tmp_path / ".other.4e5f6a7b.part").write_text("half")
    remove_unfinished(tmp_path / "model")
    assert [left.name for left in tmp_path.iterdir()] == [".other.4e5f6a7b.part"]
