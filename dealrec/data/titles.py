"""HTML in titles: entities are decoded, tags removed."""

import html
import re
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dealrec.data.values import clean_title

_TAGS = (
    "a|b|big|br|center|code|div|em|font|h[1-6]|hr|i|iframe|img|li|ol|p|pre|s|script|small|span|strike"
    "|strong|style|su[bp]|t[adhr]|table|tbody|tt|u|ul"
)
_TAG = rf"</?(?i:{_TAGS})(?:\s[^<>]*)?/?>"
_ENTITY = r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});"
_SCRIPT = r"\b(?:var \w+ ?=|function ?\().*;"
HTML = f"{_ENTITY}|{_TAG}|{_SCRIPT}"
"""Matches what is HTML, and no text with a bare ``&`` or ``<``."""
_CONTENT = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_DECODINGS = 3
"""Entities are decoded so often: exports of exports hold ``&amp;amp;``."""


class CleanTitles(NamedTuple):
    """Titles without HTML."""

    titles: pa.Array
    """[n] text, null where nothing is left."""
    changed: int
    example: str | None
    """The first title that was changed, as it was."""


def without_html(titles: pa.Array) -> CleanTitles:
    """Decode entities, remove tags, and fold white space in ``titles`` [n], where null means none.

    A known tag is removed, ``script`` and ``style`` with what they enclose. Anything else between angle
    brackets is text.
    """
    where = pc.fill_null(pc.match_substring_regex(titles, f"{_ENTITY}|{_TAG}"), False)
    if not pc.any(where).as_py():
        return CleanTitles(titles, 0, None)
    before = titles.filter(where)
    after = pa.array([_without_html(title) for title in before.to_pylist()], pa.string())
    cleaned = clean_title(pc.replace_with_mask(titles, where, after))
    changed = pc.fill_null(pc.not_equal(before, cleaned.filter(where)), True)
    return CleanTitles(cleaned, pc.sum(changed).as_py() or 0, before[0].as_py())


def _without_html(title: str) -> str:
    for _ in range(_DECODINGS):
        decoded = re.sub(_ENTITY, lambda entity: html.unescape(entity[0]), title)
        if decoded == title:
            break
        title = decoded
    title = _CONTENT.sub(" ", title)
    title = re.sub(r"<(?i:br|p|div|li|tr|h[1-6])\b[^<>]*>", " ", title)
    return re.sub(_TAG, "", title).replace("\x00", "")
