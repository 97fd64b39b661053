"""Dates in the forms that people and programs write, and numbers with commas."""

import re
from calendar import month_abbr
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from dealrec.config.formats import Decimal, FileFormat
from dealrec.data.detection import file_error

_TIME = (
    r"(?:(?:[Tt]|,? +)(?P<H>\d{1,2}):(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?)?"
)
_ZONE = r"(?: ?(?P<zone>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?))?"
_MONTH = r"(?P<name>[A-Za-z]{3,9})\.?"
_YEAR = r"(?P<y>\d{4}|\d\d)"
_DAY_NAME = r"(?:[A-Za-z]{3,9},? +)?"
_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"(?P<y>\d{{4}})([-/.])(?P<m>\d{{1,2}})\2(?P<d>\d{{1,2}}){_TIME}{_ZONE}",
        rf"(?P<d>\d{{1,2}})\.(?P<m>\d{{1,2}})\.{_YEAR}{_TIME}{_ZONE}",
        rf"(?P<y>\d{{4}})年(?P<m>\d{{1,2}})月(?P<d>\d{{1,2}})日{_TIME}",
        rf"(?P<d>\d\d)/{_MONTH}/(?P<y>\d{{4}}):(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d){_ZONE}",
        r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)(?:[Tt]?(?P<H>\d\d)(?P<M>\d\d)(?:(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?)?)?"
        + _ZONE,
        r"(?P<y>\d{4})[-/](?P<m>\d{1,2})",
        r"(?P<m>\d{1,2}) (?P<d>\d{1,2}), (?P<y>\d{4})",
        rf"{_DAY_NAME}{_MONTH} +(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? +(?P<y>\d{{4}}){_TIME}{_ZONE}",
        rf"{_DAY_NAME}(?P<d>\d{{1,2}})[ -]{_MONTH}[ -]{_YEAR}{_TIME}{_ZONE}",
        rf"{_DAY_NAME}{_MONTH} +(?P<d>\d{{1,2}}) +(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d){_ZONE} +(?P<y>\d{{4}})",
    )
)
"""Forms that leave no doubt. The fourth is of web servers. The last three are `Sep 13, 2020`, `13-Sep-2020`
(also that of RFC 2822) and that of C's `ctime`, with a zone before the year as Twitter has it."""
_EITHER_WAY = re.compile(rf"(?P<a>\d{{1,2}})([/-])(?P<b>\d{{1,2}})\2{_YEAR}{_TIME}{_ZONE}")
_COMPACT = re.compile(
    r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(([01]\d|2[0-3])[0-5]\d([0-5]\d)?)?"
)
_SERIAL = re.compile(r"[2-6]\d{4}[.,]\d+")
"""Days and their fraction since the end of 1899, as spreadsheets count them, from 1954 to 2091."""
_EPOCH_OF_SHEETS = 25_569
"""The number of the first day of 1970 in a spreadsheet."""
_MONTHS = {name.lower(): number for number, name in enumerate(month_abbr) if name}
_NET = re.compile(r"/Date\((-?\d+)([+-]\d{4})?\)/")
"""Milliseconds since 1970, as .NET writes them into JSON."""
THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
SPACED_THOUSANDS = r"^[+-]?\d{1,3}([ '’\x{a0}\x{202f}]\d{3})+$"
DOTTED_THOUSANDS = r"^[+-]?\d{1,3}(\.\d{3}){2,}$"
DECIMAL_COMMA = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)?,\d+$"


@dataclass(frozen=True)
class CellForm:
    """How the dates and numbers of a column are written, as far as a cell by itself does not say it."""

    date_format: str | None = None
    decimal_comma: bool = False
    day_first: bool | None = None
    """Whether the day comes first in dates such as 13/09/2020."""
    compact: bool = False
    """Whether numbers such as 20200913 are dates."""
    serial: bool = False
    """Whether numbers such as 44087.52 are the days of a spreadsheet."""

    def told(self) -> list[str]:
        """The form in words, where it had to be found."""
        said = []
        if self.day_first is not None and self.date_format is None:
            first = "the day" if self.day_first else "the month"
            said.append(f"dates have {first} before the {'month' if self.day_first else 'day'}")
        if self.compact:
            said.append("numbers such as 20200913 are dates")
        if self.serial:
            said.append("numbers such as 44087.52 are dates of a spreadsheet (days since 1900)")
        if self.decimal_comma:
            said.append("numbers have decimal commas")
        return said


ANY_FORM = CellForm()


def cell_form(file: str, sample: Iterable[str | None], asked: FileFormat) -> CellForm:
    """Find the form of a column's cells by a sample of them.

    Raises:
        InputError: ``ambiguous_dates`` where day and month cannot be told apart.
    """
    values = [value.strip() for value in sample if value and value.strip()]
    comma = writes_decimal_commas(values, asked)
    compact = bool(values) and all(map(_COMPACT.fullmatch, values))
    serial = bool(values) and all(map(_SERIAL.fullmatch, values))
    if asked.date_format is not None:
        return CellForm(asked.date_format, comma)
    return CellForm(None, comma, _day_first(file, values), compact, serial)


def writes_decimal_commas(values: Iterable[str | None], asked: FileFormat) -> bool:
    """Whether numbers have decimal commas; one such as `1,234` alone has a separator of thousands."""
    if asked.decimal is not None:
        return asked.decimal is Decimal.COMMA
    return any(
        re.match(DECIMAL_COMMA, value) and not re.match(THOUSANDS, value)
        for value in values
        if value and "," in value
    )


def _day_first(file: str, values: list[str]) -> bool | None:
    matches = [match for match in map(_EITHER_WAY.fullmatch, values) if match]
    if not matches:
        return None
    day_first = any(int(match["a"]) > 12 for match in matches)
    month_first = any(int(match["b"]) > 12 for match in matches)
    year_first = day_first and all(
        len(match["y"]) == 2 and int(match["y"]) < 32 for match in matches
    )
    if day_first != month_first and not year_first:
        return day_first
    example = matches[0][0]
    if year_first:
        raise file_error(
            file,
            "ambiguous_dates",
            f"In dates such as `{example}` it is unclear whether the day or the year comes first. Set "
            "`date_format`: `--set data.format.date_format=%d/%m/%y` or `%y/%m/%d`, followed by the "
            "time of day if there is one, such as `%H:%M`.",
        )
    raise file_error(
        file,
        "ambiguous_dates",
        f"In dates such as `{example}` it is unclear whether the day or the month comes first. Set "
        "`date_format`: `--set data.format.date_format=%d/%m/%Y` or `%m/%d/%Y`, followed by the time "
        "of day if there is one, such as `%H:%M:%S`.",
    )


def looks_like_date(text: str) -> bool:
    """Whether a text is a date, with the day or the month first."""
    return bool(_EITHER_WAY.fullmatch(text)) or seconds(text, ANY_FORM) is not None


def seconds(text: str, form: CellForm) -> float | None:
    """The seconds since 1970 of a date; in UTC unless it names a zone; ``None`` if it is no date."""
    if form.date_format is not None:
        return _parsed(text, form.date_format)
    if form.serial and _SERIAL.fullmatch(text):
        return round((float(text.replace(",", ".")) - _EPOCH_OF_SHEETS) * 86_400, 3)
    if match := _NET.fullmatch(text):
        return int(match[1]) / 1000
    for pattern in _FORMS:
        if match := pattern.fullmatch(text):
            found = match.groupdict()
            return _moment(found, found.get("d") or "1", _month(found))
    if form.day_first is not None and (match := _EITHER_WAY.fullmatch(text)):
        day, month = ("a", "b") if form.day_first else ("b", "a")
        return _moment(match.groupdict(), match[day], int(match[month]))
    return None


def _parsed(text: str, date_format: str) -> float | None:
    try:
        moment = datetime.strptime(text, date_format)  # noqa: DTZ007
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _month(found: dict[str, str | None]) -> int:
    name = found.get("name")
    return int(found["m"] or 0) if name is None else _MONTHS.get(name[:3].lower(), 0)


def _moment(found: dict[str, str | None], day: str, month: int) -> float | None:
    hour, half = int(found.get("H") or 0), (found.get("half") or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + 12 * (half == "p") if half else hour
    fraction = float(f"0.{found.get('f') or 0}")
    year = found["y"] or ""
    century = (2000 if int(year) < 69 else 1900) if len(year) == 2 else 0  # as POSIX has it
    try:
        moment = datetime(
            century + int(year), month, int(day), hour, int(found.get("M") or 0),
            int(found.get("S") or 0), tzinfo=_zone(found.get("zone")),
        )  # fmt: skip
    except ValueError:
        return None
    return moment.timestamp() + fraction


def _zone(name: str | None) -> timezone:
    if name is None or name[0] not in "+-":
        return UTC
    digits = name[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if name[0] == "-" else offset)
