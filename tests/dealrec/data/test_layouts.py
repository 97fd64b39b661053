"""The named layouts are recognised where a file leaves no doubt, and proposed where it leaves some."""

import pytest

from dealrec.config.data import AS_THEY_ARE
from dealrec.config.layouts import LAYOUTS
from dealrec.errors import InputError
from tests.dealrec.data.files import ingest_bytes

USERS, EACH = 12, 6
ROWS = [
    (user, (user * 5 + at * 3) % 17, 1_500_000_000 + user * 977 + at * 86_000)
    for user in range(USERS)
    for at in range(EACH)
]
ISO = "2017-07-{day:02}T0{hour}:40:00.123Z"


def iso(time: int) -> str:
    return ISO.format(day=time // 86_000 % 28 + 1, hour=time % 10)


def lines(form: str) -> bytes:
    """A line of each row; `{u}`, `{i}`, `{t}` and `{iso}` stand for user, item and time."""
    text = (form.format(u=u, i=i, t=t, iso=iso(t), h=f"{u:040x}") for u, i, t in ROWS)
    return ("\n".join(text) + "\n").encode()


WITHOUT_HEADER = {
    "movielens-1m": ("{u}::{i}::4::{t}", "{i}::A {i} (1990)::Drama|War"),
    "movielens-100k": ("{u}\t{i}\t4\t{t}", "{i}|A {i} (1990)|01-Jan-1995||http://x/?{i}|0|1|0"),
    "amazon-ratings": ("A{u:012}X,B{i:09},5.0,{t}", None),
    "amazon-2018-ratings": ("B{i:09},A{u:013},5.0,{t}", None),
    "yoochoose": ("{u},{iso},{i},S", None),
    "lastfm-1k": ('user_{u:06}\t{iso}\t\tArtist "{i}"\t\tA "track', None),
    "gowalla": ("{u}\t{iso}\t30.2\t-97.7\t{i}", None),
    "foursquare": (
        "{u}\t{i:024x}\t4bf58\tBar\t40.7\t-73.9\t-240\tTue Apr 03 18:00:09 +0000 2012",
        None,
    ),
    "taobao": ("{u},{i},4756105,pv,{t}", None),
    "ta-feng": ("2001-01-01 00:00:00;{u:08};D;E;110411;{i:013};3;51;57", None),
    "sasrec": ("{u} {i}", None),
}


@pytest.mark.parametrize("name", WITHOUT_HEADER)
def test_lines_of_a_layout_without_a_header_are_recognised(tmp_path, name):
    form, item_form = WITHOUT_HEADER[name]
    items = {
        i: line for line, (_, i, _) in zip(lines(item_form or "").split(b"\n"), ROWS, strict=False)
    }
    asked = {
        **AS_THEY_ARE.model_dump(mode="json"),
        "split": "leave_one_out",
    }  # as a worker sends them
    result = ingest_bytes(
        tmp_path, lines(form), b"\n".join(items.values()) if item_form else None, **asked
    )
    assert result.counts["users"] == USERS
    assert result.report["accepted_rows"] == len(ROWS)
    for read in result.report["read"]:
        assert read["said"][0] == f"the layout `{name}` was detected"
    if item_form:
        assert result.dataset.titles.to_pylist()[0].startswith("A ")


WITH_NAMES = {
    "movielens": "userId,movieId,rating,timestamp\n",
    "retailrocket": "timestamp,visitorid,event,itemid,transactionid\n",
    "diginetica": "sessionId;userId;itemId;timeframe;eventdate\n",
    "h-and-m": "t_dat,customer_id,article_id,price,sales_channel_id\n",
    "amazon-2023": "user_id,parent_asin,rating,timestamp,history\n",
}
CELLS = {
    "movielens": "{u},{i},4.0,{t}",
    "retailrocket": "{t},{u},view,{i},",
    "diginetica": "{u};NA;{i};{t};2016-05-09",
    "h-and-m": "2018-09-20,{u},{i},0.05,2",
    "amazon-2023": "{u},{i},5.0,{t},",
}


@pytest.mark.parametrize("name", WITH_NAMES)
def test_a_layout_is_recognised_by_its_names(tmp_path, name):
    content = WITH_NAMES[name].encode() + lines(CELLS[name])
    result = ingest_bytes(tmp_path, content, split="leave_one_out")
    assert result.counts["users"] == USERS
    assert result.report["read"][0]["said"][0] == f"the layout `{name}` was detected"


def test_a_layout_that_is_asked_for_needs_no_proof(tmp_path):
    content = lines("u{u}::i{i}::4::{t}")
    with pytest.raises(InputError, match="does not look like a header"):
        ingest_bytes(tmp_path, content)
    result = ingest_bytes(tmp_path, content, layout="movielens-1m")
    assert result.report["accepted_rows"] == len(ROWS)


def test_a_file_without_times_is_read_in_a_layout_that_says_what_stands_for_them(tmp_path):
    content = b"userID\tartistID\tweight\n" + lines("{u}\t{i}\t7")
    with pytest.raises(InputError, match="order=file"):
        ingest_bytes(tmp_path, content)
    result = ingest_bytes(tmp_path, content, layout="hetrec-lastfm")
    assert result.report["accepted_rows"] == len(ROWS)


def test_a_file_of_another_layout_is_refused(tmp_path):
    with pytest.raises(InputError) as refusal:
        ingest_bytes(tmp_path, lines("{u}::{i}"), layout="movielens-1m")
    assert refusal.value.code == "another_layout"


def test_clicks_of_mind_follow_the_history_of_a_user(tmp_path):
    behaviours = (
        b"1\tU1\t11/15/2019 9:05:58 AM\tN1 N2\tN3-1 N4-0\n"
        b"2\tU1\t11/16/2019 1:05:58 PM\tN1 N2\tN5-0 N6-1\n"
        b"3\tU2\t11/13/2019 1:05:58 PM\t\tN1-1 N2-0\n"
        b"4\tU2\t11/14/2019 1:05:58 PM\t\tN2-1\n"
        b"5\tU3\t11/14/2019 1:05:58 PM\tN3 N4\tN2-0\n"
    )
    news = b"".join(
        b"N%d\tnews\tus\tTitle %d\tText\thttp://x\t[]\t[]\n" % (n, n) for n in range(1, 7)
    )
    result = ingest_bytes(tmp_path, behaviours, news)
    data = result.dataset
    ids = data.item_ids.take(data.items).to_pylist()
    histories = {
        user: ids[data.offsets[at] : data.offsets[at + 1]]
        for at, user in enumerate(data.user_ids.to_pylist())
    }
    assert histories == {"U1": ["N1", "N2", "N3", "N6"], "U2": ["N1", "N2"], "U3": ["N3", "N4"]}
    assert data.titles.to_pylist()[0] == "Title 1"


def test_every_layout_says_its_columns():
    for layout in LAYOUTS.values():
        for form in (*layout.interactions, *layout.items):
            assert form.told()
            assert set(form.columns.values()) <= {*(form.format.names or form.columns.values())}
