"""Vectorised conversion of cells to text, numbers and points in time, with masks of failures."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.data.dates import (
    ANY_FORM,
    DECIMAL_COMMA,
    DOTTED_THOUSANDS,
    SPACED_THOUSANDS,
    THOUSANDS,
    CellForm,
    seconds,
)

_UUID_BYTES = 16
Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_INTEGER = r"^-?\d{1,18}$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$"
_DATE = r"^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?\s?([Zz]|[+-]\d\d:?\d\d)?)?$"


@dataclass(frozen=True)
class OrderValues:
    """``n`` numbers that order interactions; integers of up to 18 digits are exact.

    A date counts as its seconds since 1970, in UTC unless it names a zone.
    """

    whole: Int64
    """[n] floor of the number."""
    fraction: Float64
    """[n] number minus its floor, in [0, 1)."""
    valid: Bool
    """[n] whether the cell was a number (or a date, where dates are allowed)."""


def as_text(column: pa.Array) -> pa.Array:
    """Convert a column of any flat type to text.

    Text stays as it is, whole floats and decimals lose their ``.0``, ``NaN`` becomes null, 16 bytes become
    the text of a UUID, and other bytes that are not UTF-8 become null.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_float16(kind):
        column = column.cast(pa.float32())
        kind = column.type
    if pa.types.is_fixed_size_binary(kind) and kind.byte_width == _UUID_BYTES:
        return pa.array([_uuid(value) for value in column.to_pylist()], pa.string())
    if _holds_bytes(kind):
        return pa.array([_decoded(value) for value in column.to_pylist()], pa.string())
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
        whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), 2.0**53))
        integers = pc.if_else(whole, column, None).cast(pa.int64())
        return pc.if_else(
            pc.fill_null(whole, False), integers.cast(pa.string()), column.cast(pa.string())
        )
    text = column.cast(pa.string())
    if pa.types.is_decimal(kind) and kind.scale > 0:
        text = pc.replace_substring_regex(text, r"^-?0E-\d+$", "0")
        text = pc.replace_substring_regex(text, r"\.0+$", "")
        text = pc.replace_substring_regex(text, r"(\.\d*[1-9])0+$", r"\1")
    return text


def is_missing(column: pa.Array) -> Bool:
    """[n] whether a cell is marked as missing: null, or a floating-point number that is none."""
    return _mask(column.is_null(nan_is_null=True))


def is_blank(text: pa.Array) -> Bool:
    """[n] whether the cell is null, empty or white space."""
    if text.null_count == 0 and pc.min(pc.binary_length(text)).as_py() not in (0, None):
        first = pc.utf8_slice_codeunits(text, 0, 1)
        if not pc.any(pc.utf8_is_space(first)).as_py():
            return np.zeros(len(text), bool)
    return _mask(pc.equal(pc.utf8_trim_whitespace(pc.fill_null(text, "")), ""))


def holds_nul(text: pa.Array) -> Bool:
    """[n] whether the text has a NUL character (which databases refuse)."""
    if pa.types.is_string(text.type):
        content = _content(text)
        if np.count_nonzero(content) == len(content):  # a tenth of the time of looking at each text
            return np.zeros(len(text), bool)
    return _mask(pc.fill_null(pc.match_substring(text, "\x00"), False))


def _content(text: pa.Array) -> npt.NDArray[np.uint8]:
    """The bytes of all texts, one after the other."""
    _, offsets, content = text.buffers()
    ends = np.frombuffer(offsets or b"", np.int32)[text.offset :][: len(text) + 1]
    if not len(ends) or content is None:
        return np.zeros(0, np.uint8)
    found: npt.NDArray[np.uint8] = np.frombuffer(content, np.uint8)[ends[0] : ends[-1]]
    return found


def longer_than(text: pa.Array, limit: int) -> Bool:
    """[n] whether the text has more than ``limit`` bytes."""
    lengths = pc.binary_length(text)
    if (pc.max(lengths).as_py() or 0) <= limit:
        return np.zeros(len(text), bool)
    return _mask(pc.fill_null(pc.greater(lengths, limit), False))


def as_order(column: pa.Array, *, dates: bool, form: CellForm = ANY_FORM) -> OrderValues:
    """Read numbers, and with ``dates`` also dates, in a column of any flat type."""
    kind = column.type
    if (
        dates
        and (form.compact or form.serial or form.date_format)
        and not pa.types.is_temporal(kind)
    ):
        return _from_written_dates(as_text(column), form)
    if pa.types.is_boolean(kind):
        return _nothing(len(column))
    if pa.types.is_integer(kind) and kind != pa.uint64():
        whole = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        return OrderValues(whole, np.zeros(len(whole)), _mask(column.is_valid()))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _from_times(column) if dates else _nothing(len(column))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _from_floats(column.cast(pa.float64(), safe=False))
    return _from_text(as_text(column), form, dates=dates)


def clean_title(text: pa.Array) -> pa.Array:
    """Put titles on one line: runs of white space and control characters become one space.

    A title that is empty then becomes null.
    """
    text = pc.replace_substring_regex(text, r"[\s\x00-\x1f\x7f]+", " ")
    text = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(text, ""), None, text)


def _from_text(text: pa.Array, form: CellForm, *, dates: bool) -> OrderValues:
    try:
        whole = text.cast(pa.int64())
    except pa.ArrowInvalid:
        pass
    else:
        if whole.null_count == 0:
            return OrderValues(whole.to_numpy(), np.zeros(len(whole)), np.ones(len(whole), bool))
    text = pc.utf8_trim_whitespace(pc.fill_null(text, ""))
    result = _nothing(len(text))
    integers = _mask(pc.match_substring_regex(text, _INTEGER))
    numbers = _mask(pc.match_substring_regex(text, _NUMBER)) & ~integers
    _fill(result, integers, lambda part: as_order(part.cast(pa.int64()), dates=False), text)
    _fill(result, numbers, lambda part: _from_floats(part.cast(pa.float64())), text)
    if dates:
        written = _mask(pc.match_substring_regex(text, _DATE))
        _fill(result, written, _from_dates, text)
    if not result.valid.all():
        _fill_rest(result, text, form, dates=dates)
    return result


def _fill_rest(result: OrderValues, text: pa.Array, form: CellForm, *, dates: bool) -> None:
    """Read numbers with commas, and dates in other forms than ISO 8601's."""
    plain = text
    if form.decimal_comma:
        where = _mask(pc.match_substring_regex(text, DECIMAL_COMMA))
        plain = pc.replace_substring(pc.replace_substring(text, ".", ""), ",", ".")
    else:
        where = _mask(pc.match_substring_regex(text, THOUSANDS))
        plain = pc.replace_substring(text, ",", "")
    _fill(result, where & ~result.valid, _from_number_text, plain)
    where = _mask(pc.match_substring_regex(text, DOTTED_THOUSANDS)) & ~result.valid
    _fill(result, where, _from_number_text, pc.replace_substring(text, ".", ""))
    where = _mask(pc.match_substring_regex(text, SPACED_THOUSANDS)) & ~result.valid
    _fill(result, where, _from_number_text, pc.replace_substring_regex(text, r"[^+\-\d]", ""))
    where = ~result.valid & _mask(pc.not_equal(text, ""))
    if dates:
        _fill(result, where, lambda part: _from_written_dates(part, form), text)


def _from_number_text(text: pa.Array) -> OrderValues:
    try:
        return as_order(text.cast(pa.int64()), dates=False)
    except pa.ArrowInvalid:
        return _from_floats(text.cast(pa.float64()))


def _from_written_dates(text: pa.Array, form: CellForm) -> OrderValues:
    """Read each distinct date by itself."""
    encoded = pc.utf8_trim_whitespace(pc.fill_null(text, "")).dictionary_encode()
    found = [seconds(value, form) for value in encoded.dictionary.to_pylist()]
    return _from_floats(pa.array(found, pa.float64()).take(encoded.indices))


def _fill(
    result: OrderValues, where: Bool, parse: Callable[[pa.Array], OrderValues], text: pa.Array
) -> None:
    if where.any():
        part = parse(text.filter(pa.array(where)))
        result.whole[where] = part.whole
        result.fraction[where] = part.fraction
        result.valid[where] = part.valid


def _from_floats(column: pa.Array) -> OrderValues:
    values = pc.fill_null(column, math.nan).to_numpy(zero_copy_only=False)
    valid = np.abs(values) < 2.0**62  # false for NaN and infinities, too
    whole = np.floor(np.where(valid, values, 0))
    return OrderValues(whole.astype(np.int64), np.where(valid, values - whole, 0), valid)


def _from_times(column: pa.Array) -> OrderValues:
    zone_free = pa.timestamp("us", getattr(column.type, "tz", None))
    ticks = column.cast(zone_free, safe=False).cast(pa.int64())
    micros = pc.fill_null(ticks, 0).to_numpy(zero_copy_only=False)
    whole = micros // 1_000_000
    return OrderValues(whole, (micros - whole * 1_000_000) / 1e6, _mask(column.is_valid()))


def _from_dates(text: pa.Array) -> OrderValues:
    """Read all dates at once, or if one is invalid or has a zone, each distinct date by itself."""
    try:
        return _from_times(text.cast(pa.timestamp("us")))
    except pa.ArrowInvalid:
        encoded = text.dictionary_encode()
        seconds = [_date_seconds(value) for value in encoded.dictionary.to_pylist()]
        return _from_floats(pa.array(seconds, pa.float64()).take(encoded.indices))


def _date_seconds(text: str) -> float | None:
    text = text.replace(",", ".").upper()
    try:
        time = datetime.fromisoformat(text.replace(" +", "+").replace(" Z", "Z"))
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _holds_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    )


def _uuid(value: bytes | None) -> str | None:
    if value is None:
        return None
    text = value.decode("ascii", "replace")
    return text if text.isascii() and text.isprintable() else str(UUID(bytes=value))


def _decoded(value: bytes | None) -> str | None:
    try:
        return value.decode() if value is not None else None
    except UnicodeDecodeError:
        return None


def _nothing(length: int) -> OrderValues:
    return OrderValues(np.zeros(length, np.int64), np.zeros(length), np.zeros(length, bool))


def _mask(array: pa.Array) -> Bool:
    values: Bool = array.to_numpy(zero_copy_only=False)
    return values
