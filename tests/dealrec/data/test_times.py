"""Timestamps: their unit, and what the report says of them."""

import numpy as np
import pytest

from dealrec.data.times import TimeUnit, date_of, unit_of
from tests.dealrec.data.files import ingest_bytes

_2023 = 1_700_000_000


@pytest.mark.parametrize("unit", TimeUnit)
def test_the_unit_follows_from_the_magnitude(unit):
    times = np.array([5, _2023, _2023 + 86_400], np.int64) * unit.a_second
    assert unit_of(times) is unit
    assert date_of(int(times[1]), unit) == "2023-11-14"


def test_years_and_places_in_a_sequence_are_no_dates():
    assert unit_of(np.array([1999, 2000, 2001])) is None
    assert date_of(2001, None) == "2,001"
    assert date_of(2**62, TimeUnit.SECONDS) == f"{2**62:,}"


def test_the_report_has_the_first_and_the_last_time(tmp_path):
    rows = b"u,a,2023-11-16\nu,b,2023-11-14\nv,a,2023-11-15\nv,b,2023-11-17\n"
    report = ingest_bytes(tmp_path, b"user_id,item_id,timestamp\n" + rows).report
    first = 1_699_920_000
    assert report["times"] == {"first": first, "last": first + 3 * 86_400, "unit": "seconds"}
    places = rows.replace(b"2023-11-", b"")
    assert ingest_bytes(tmp_path, b"user_id,item_id,position\n" + places).report["times"] is None
