"""Sessions as users."""

import numpy as np
import pytest

from dealrec.errors import InputError
from tests.dealrec.data.files import ingest_bytes

START = 1_700_000_000
HOUR = 3600


def rows(times: dict[str, list[int]], unit: int = 1) -> bytes:
    lines = [
        f"{user},i{place},{(START + time) * unit}"
        for user, own in times.items()
        for place, time in enumerate(own)
    ]
    return "\n".join(["user_id,item_id,timestamp", *lines]).encode()


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_session_ends_where_nothing_happens_for_longer_than_the_gap(tmp_path, unit):
    times = {"ann": [0, 1800, 3600, 3 * HOUR, 3 * HOUR + 5], "bob": [10, 20, 30]}
    result = ingest_bytes(tmp_path, rows(times, unit), split="leave_one_out", session_minutes=30)
    found = result.dataset
    first = [START * unit, (START + 3 * HOUR) * unit, (START + 10) * unit]
    expected = [f"ann@{first[0]}", f"ann@{first[1]}", f"bob@{first[2]}"]
    assert sorted(found.user_ids.to_pylist()) == sorted(expected)
    sizes = dict(zip(found.user_ids.to_pylist(), np.diff(found.offsets).tolist(), strict=True))
    assert [sizes[name] for name in expected] == [3, 2, 3]
    told = {one["code"]: one["message"] for one in result.report["warnings"]}
    assert told["users_cut_into_sessions"] == (
        "2 users were split into 3 sessions, which count as users now."
    )


def test_later_filters_are_about_sessions(tmp_path):
    times = {"ann": [0, 60, 120, 10 * HOUR], "bob": [0, 60]}
    result = ingest_bytes(
        tmp_path, rows(times), split="leave_one_out", session_minutes=30, user_core=2
    )
    assert len(result.dataset.user_ids) == 2
    assert result.report["removed"][0]["rows"] == 1


def test_sessions_need_times_that_are_dates(tmp_path):
    data = b"user_id,item_id,timestamp\nu,a,1\nu,b,2\nv,a,1\nv,b,2"
    with pytest.raises(InputError, match="session_minutes") as error:
        ingest_bytes(tmp_path, data, split="leave_one_out", session_minutes=30)
    assert error.value.code == "filter_not_possible"
