"""Times by cron's rules in time zones whose clocks change."""

from datetime import datetime

import pytest
from pydantic import ValidationError

from dealrec.app.schedules.triggers import CronTrigger, next_due


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("30 3 * * *", "2026-01-01T00:00Z", ["2026-01-01T02:30Z", "2026-01-02T02:30Z"]),
        # 2:30 is left out on 29 March 2026 and comes twice on 25 October.
        ("30 2 * * *", "2026-03-28T12:00Z", ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]),
        ("30 2 * * *", "2026-10-24T12:00Z", ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]),
        ("30 2 * * *", "2026-10-25T01:10Z", ["2026-10-26T01:30Z", "2026-10-27T01:30Z"]),
        ("0 * * * *", "2026-10-25T00:00Z", ["2026-10-25T01:00Z", "2026-10-25T02:00Z"]),
        ("0 0 29 2 *", "2026-01-01T00:00Z", ["2028-02-28T23:00Z", "2032-02-28T23:00Z"]),
    ],
)
def test_due_times_follow_the_clocks_of_the_zone(
    cron: str, after: str, expected: list[str]
) -> None:
    trigger = CronTrigger(cron=cron, time_zone="Europe/Berlin")
    found = next_due(trigger, datetime.fromisoformat(after), 2)
    assert found == [datetime.fromisoformat(one) for one in expected]


@pytest.mark.parametrize(
    "bad",
    [
        {"cron": "* * * *"},
        {"cron": "* * * * * *"},
        {"cron": "61 * * * *"},
        {"cron": "0 0 31 2 *"},
        {"cron": "nonsense"},
        {"cron": "0 0 * * *", "time_zone": "Berlin"},
        {"cron": "0 0 * * *", "time_zone": "../etc/passwd"},
    ],
)
def test_what_names_no_time_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"cannot be read|never comes|time zone"):
        CronTrigger.model_validate(bad)
