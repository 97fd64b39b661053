from pathlib import Path

import pytest

from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(Settings(data_dir=tmp_path / "data"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"0123456789")
    (folder / "inner" / "b.txt").write_bytes(b"b")
    return folder


def test_a_folder_comes_back_as_it_went_in(storage: Storage, folder: Path, tmp_path: Path) -> None:
    assert storage.put_folder("artifacts/t/s/1", folder) == 11
    fetched = storage.fetch_folder("artifacts/t/s/1", tmp_path / "fetched")
    assert (fetched / "inner" / "b.txt").read_bytes() == b"b"
    assert b"".join(storage.stream("artifacts/t/s/1/a.txt", 2, 5)) == b"234"
    assert b"".join(storage.stream("artifacts/t/s/1/a.txt", 8)) == b"89"
    assert storage.size("artifacts/t/s/1/a.txt") == 10


def test_a_copy_outlives_what_it_was_copied_from(storage: Storage, folder: Path) -> None:
    storage.put_folder("artifacts/t/s/1", folder)
    assert storage.copy("artifacts/t/s/1", "coresets/t/c", ("a.txt",)) == 10
    storage.delete_prefix("artifacts/t/s/1")
    assert not storage.exists("artifacts/t/s/1/a.txt")
    assert b"".join(storage.stream("coresets/t/c/a.txt")) == b"0123456789"
    assert not storage.exists("coresets/t/c/inner/b.txt")


def test_replacing_a_file_leaves_its_copy_alone(storage: Storage, folder: Path) -> None:
    storage.put_folder("artifacts/t/s/1", folder)
    storage.copy("artifacts/t/s/1", "coresets/t/c")
    storage.put_file("artifacts/t/s/1/a.txt", folder / "inner" / "b.txt")
    assert storage.size("coresets/t/c/a.txt") == 10


def test_deleting_what_is_not_there_is_fine(storage: Storage) -> None:
    storage.delete_prefix("datasets/t/none")


def test_a_missing_file_is_told_before_the_first_byte(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.stream("datasets/t/none")


@pytest.mark.parametrize("key", ["../x", "a/../b", "/etc/passwd", "a//b", "a/", "", "a b", "a\x00"])
def test_keys_that_the_service_would_never_make_are_refused(storage: Storage, key: str) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        storage.exists(key)


def test_links_are_not_followed_out_of_a_folder(storage: Storage, folder: Path) -> None:
    (folder / "link").symlink_to("/etc/passwd")
    storage.put_folder("artifacts/t/s/1", folder)
    assert not storage.exists("artifacts/t/s/1/link")


def test_other_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="s3://"):
        Storage(Settings(data_dir=tmp_path, storage_url="ftp://host/folder"))
