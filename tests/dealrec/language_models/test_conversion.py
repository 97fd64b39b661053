import multiprocessing
import time
from pathlib import Path

import pytest

from dealrec.language_models.conversion import make_folder_once


def _slow_write(folder: Path) -> None:
    (folder / "one").write_text("1")
    time.sleep(0.5)
    with (folder.parent / "writers.log").open("a") as log:
        log.write("written\n")
    (folder / "two").write_text("2")


def _make(target: Path) -> None:
    found = make_folder_once(target, _slow_write)
    assert {file.name for file in found.iterdir()} == {"one", "two"}


def test_of_processes_that_race_one_writes_and_all_find_it_whole(tmp_path):
    target = tmp_path / "model"
    spawn = multiprocessing.get_context("spawn")
    racers = [spawn.Process(target=_make, args=(target,)) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0, 0, 0]
    assert (tmp_path / "writers.log").read_text() == "written\n"


def test_a_failed_write_leaves_nothing_and_the_next_one_succeeds(tmp_path):
    target = tmp_path / "model"

    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make_folder_once(target, fail)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    _make(target)
