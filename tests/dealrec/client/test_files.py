"""Parquet that came over a line, read without what Arrow may trip over at the program's end."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dealrec.client.files import read_parquet

PROGRAM = """
import sys
from dealrec.client.files import read_parquet
print(read_parquet(open(sys.argv[1], "rb").read()).num_rows)
"""


@pytest.fixture
def path(tmp_path):
    columns = {f"c{number}": [f"x{row}" for row in range(30)] for number in range(11)}
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    return tmp_path / "table.parquet"


def test_it_is_the_table(path):
    assert read_parquet(path.read_bytes()).equals(pq.read_table(path))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Linux lists the threads")
def test_no_thread_is_left_behind(path):
    program = """
import os, sys
import pyarrow.parquet
from dealrec.client.files import read_parquet
before = len(os.listdir("/proc/self/task"))
read_parquet(open(sys.argv[1], "rb").read())
assert len(os.listdir("/proc/self/task")) == before
"""
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=60)


def test_programs_that_read_it_and_end_at_once_end_well(path):
    """One process in twelve that gave Arrow a Python file was aborted."""

    def ended(_number):
        command = [sys.executable, "-c", PROGRAM, str(path)]
        return subprocess.run(command, capture_output=True, timeout=60).returncode

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(ended, range(16))) == [0] * 16
