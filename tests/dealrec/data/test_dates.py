"""Times in the forms that people and programs write."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dealrec.config.formats import FileFormat
from dealrec.data.dates import cell_form
from dealrec.data.values import as_order
from dealrec.errors import InputError

FORMS = {
    "ISO 8601": "%Y-%m-%d %H:%M:%S",
    "ISO 8601 with T and Z": "%Y-%m-%dT%H:%M:%SZ",
    "ISO 8601 without marks": "%Y%m%dT%H%M%SZ",
    "ISO 8601 with a comma": "%Y-%m-%d %H:%M:%S,000",
    "PostgreSQL": "%Y-%m-%d %H:%M:%S+00",
    "BigQuery": "%Y-%m-%d %H:%M:%S UTC",
    "slashes": "%Y/%m/%d %H:%M:%S",
    "German": "%d.%m.%Y %H:%M:%S",
    "German, two digits": "%d.%m.%y %H:%M:%S",
    "Chinese": "%Y年%m月%d日 %H:%M:%S",
    "C": "%a %b %d %H:%M:%S %Y",
    "Twitter": "%a %b %d %H:%M:%S +0000 %Y",
    "words": "%b %d, %Y %H:%M:%S",
    "long words": "%B %d, %Y, %I:%M:%S %p",
    "Oracle": "%d-%b-%y %H:%M:%S",
    "a web server": "%d/%b/%Y:%H:%M:%S +0000",
    "one number": "%Y%m%d%H%M%S",
    "American": "%m/%d/%Y %H:%M:%S",
    "American, 12 hours": "%m/%d/%Y %I:%M:%S %p",
    "American, two digits": "%m/%d/%y %H:%M:%S",
    "British": "%d/%m/%Y %H:%M:%S",
    "Dutch": "%d-%m-%Y %H:%M:%S",
}
SEEN = [datetime(2019, 12, day, tzinfo=UTC) for day in (13, 31)]
"""Moments that leave no doubt which number is the day."""
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2037, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


def read(cells: list[str], **asked: str) -> list[float]:
    form = cell_form("log.csv", cells, FileFormat.parse(asked))
    values = as_order(pa.array(cells), dates=True, form=form)
    assert values.valid.all()
    return [float(value) for value in values.whole + values.fraction]


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=15, deadline=None)
@given(moments=st.lists(MOMENTS, max_size=5))
def test_moments_are_read_as_they_are_written(name, moments):
    moments = [*SEEN, *moments]
    assert read([moment.strftime(FORMS[name]) for moment in moments]) == [
        moment.timestamp() for moment in moments
    ]


@settings(max_examples=15, deadline=None)
@given(moment=MOMENTS, hours=st.integers(-11, 12))
def test_zones_count(moment, hours):
    zoned = moment + timedelta(hours=hours)
    text = zoned.strftime("%Y-%m-%dT%H:%M:%S") + f"{hours:+03d}:00"
    assert read([text, format_datetime(moment)]) == [moment.timestamp()] * 2


@pytest.mark.parametrize("text", ["03/04/2020", "3-4-2020 10:00", "20/12/11 09:00", "31/12/20"])
def test_dates_that_may_be_read_in_two_ways_are_asked_for(text):
    with pytest.raises(InputError, match=r"--set data\.format\.date_format=%") as refused:
        read([text])
    assert refused.value.code == "ambiguous_dates"


def test_a_given_form_counts():
    assert read(["20/12/11"], date_format="%y/%m/%d") == read(["2020-12-11"])
