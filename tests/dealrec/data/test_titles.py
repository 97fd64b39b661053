"""HTML in titles."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealrec.data.titles import without_html
from tests.dealrec.data.files import ingest_bytes

ROWS = b"user_id,item_id,position\nu,a,1\nu,b,2\nu,c,3\nu,a,4\n"


@pytest.mark.parametrize(
    ("title", "cleaned"),
    [
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("It&#39;s &#x1F600;", "It's 😀"),
        ("<b>Bold</b> and <I>it</I>", "Bold and it"),
        ("One<br/>Two<p>Three", "One Two Three"),
        ("A<script>var x = 1 < 2;</script> B", "A B"),
        ("&lt;b&gt;Bold&lt;/b&gt;", "Bold"),
        ("<span class='x'></span>", None),
        ("Q&A; or not", "Q&A; or not"),
        ("I <3 You &copy right", "I <3 You &copy right"),
        ("<Deluxe> 1 < 2 > 0 AT&T", "<Deluxe> 1 < 2 > 0 AT&T"),
        (None, None),
    ],
)
def test_entities_are_decoded_and_known_tags_removed(title, cleaned):
    found = without_html(pa.array([title, "Other"], pa.string()))
    assert found.titles.to_pylist() == [cleaned, "Other"]
    assert (found.changed, found.example) == (
        (1, title) if cleaned != title else (0, found.example)
    )


@given(st.text(alphabet="ab <>&;/#1amplbr\x00\n", max_size=40))
def test_any_text_is_cleaned_once_and_for_all(text):
    once = without_html(pa.array([text])).titles
    if once.is_valid()[0].as_py() and once[0].as_py() != text:
        assert "\x00" not in once[0].as_py()
        assert once[0].as_py() == once[0].as_py().strip()


def test_cleaning_is_the_default_and_is_told_of(tmp_path):
    items = b"item_id,title\na,Tom &amp; Jerry\nb,<b>Bold</b>\nc,Plain\n"
    result = ingest_bytes(tmp_path, ROWS, items)
    assert result.dataset.titles.to_pylist() == ["Tom & Jerry", "Bold", "Plain"]
    (told,) = result.report["warnings"]
    assert (told["code"], told["count"]) == ("titles_cleaned", 2)
    assert (
        "HTML was removed from 2 titles in items.csv, such as `Tom &amp; Jerry`" in told["message"]
    )
    kept = ingest_bytes(tmp_path, ROWS, items, clean_titles=False)
    assert kept.dataset.titles.to_pylist() == ["Tom &amp; Jerry", "<b>Bold</b>", "Plain"]
    assert [entry["code"] for entry in kept.report["warnings"]] == ["html_in_titles"]
    assert kept.dataset.sha256 != result.dataset.sha256
