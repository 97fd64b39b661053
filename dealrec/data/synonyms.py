"""The names that columns have in public data sets, and which of a file's columns they point at."""

import re
from collections.abc import Iterable, Mapping, Sequence

from dealrec.config import Column

_USERS = (
    *("user", "uid", "userid", "reviewerid", "reviewer", "customerid", "customer", "custid"),
    *("visitorid", "visitor", "memberid", "member", "profileid", "accountid", "username"),
    *("sessionid", "session", "sid", "playerid", "listenerid", "clientid", "personid", "authorid"),
    *(
        "userkey",
        "usersha1",
        "useridx",
        "userindex",
        "raterid",
        "buyerid",
        "shopperid",
        "msnoid",
        "msno",
    ),
    *("steamid", "hashedid", "viewerid", "readerid", "anonymousid", "userpseudoid"),
)
_ITEMS = (
    *(
        "item",
        "iid",
        "itemid",
        "movieid",
        "movie",
        "mid",
        "asin",
        "parentasin",
        "productid",
        "product",
    ),
    *(
        "businessid",
        "business",
        "articleid",
        "article",
        "videoid",
        "video",
        "bookid",
        "book",
        "isbn",
    ),
    *(
        "songid",
        "song",
        "trackid",
        "track",
        "artistid",
        "artist",
        "gameid",
        "game",
        "appid",
        "newsid",
    ),
    *("recipeid", "recipe", "poiid", "poi", "venueid", "venue", "locationid", "placeid", "hotelid"),
    *(
        "itemkey",
        "itemidx",
        "itemindex",
        "animeid",
        "anime",
        "beerid",
        "jokeid",
        "photoid",
        "noteid",
    ),
    *("sku", "skuid", "goodsid", "offerid", "adid", "creativeid", "courseid", "jobid", "gmapid"),
    *("contentid", "podcastid", "showid", "eventid", "productcode", "stockcode", "itemcode"),
)
_TIMES = (
    *(
        "timestamp",
        "time",
        "ts",
        "datetime",
        "date",
        "unixreviewtime",
        "unixtime",
        "epoch",
        "unixts",
    ),
    *(
        "timestamps",
        "createdat",
        "createtime",
        "createdtime",
        "creationdate",
        "created",
        "updatedat",
    ),
    *(
        "reviewtime",
        "reviewdate",
        "ratingtime",
        "ratingdate",
        "eventtime",
        "eventdate",
        "eventtimestamp",
    ),
    *("timems", "timestampms", "tdat", "dat", "clicktime", "viewtime", "visittime", "checkintime"),
    *("purchasedate", "purchasetime", "orderdate", "ordertime", "invoicedate", "transactiondate"),
    *("playedat", "watchedat", "ratedat", "dateadded", "submittedat", "utctime", "unixtimestamp"),
    *("interactiontime", "lastwatchdt", "lastwatch", "publishedat", "occurredat"),
)
_RATINGS = (
    *(
        "rating",
        "ratings",
        "score",
        "stars",
        "star",
        "overall",
        "ratingscore",
        "rate",
        "reviewrating",
    ),
    *("reviewoverall", "starrating"),
)
_EVENTS = ("event", "eventtype", "eventname", "behavior", "behaviour", "behaviortype", "actiontype")
_TITLES = (
    *("title", "name", "movietitle", "itemname", "itemtitle", "productname", "producttitle"),
    *("prodname", "appname", "gamename", "booktitle", "bookname", "trackname", "songname"),
    *("artistname", "videotitle", "newstitle", "articletitle", "recipename", "businessname"),
    *("moviename", "songtitle", "tracktitle", "headline", "caption", "animetitle", "beername"),
    *("displayname", "fulltitle", "primarytitle", "originaltitle"),
)
SYNONYMS: Mapping[Column, Sequence[str]] = {
    Column.USER_ID: _USERS,
    Column.ITEM_ID: _ITEMS,
    Column.TIMESTAMP: _TIMES,
    Column.RATING: _RATINGS,
    Column.EVENT: _EVENTS,
    Column.TITLE: _TITLES,
}
"""Plain forms of other names of our columns. `split` and `position` have none: other columns of such names
mean other things."""
KNOWN = frozenset((*_USERS, *_ITEMS, *_TIMES, *_RATINGS, *_TITLES, "split", "position"))
"""All plain forms: a line that holds one of them is a header."""


_HISTORY = re.compile(
    rf"((user|item|click|read|watch)?(history|hist|sequence|seq|list)|sequences|clicks|interactions"
    rf"|({'|'.join(_ITEMS)})(s|list|seq|sequence|history|hist|ids))"
)


def plain(name: str) -> str:
    """A name without case and marks: ``User ID``, ``userId`` and ``USER_ID`` are the same."""
    return re.sub(r"[\W_]+", "", name.lower())


def candidates(column: Column, names: Iterable[str]) -> list[str]:
    """The names among ``names`` that mean ``column``, by the best rule that any of them meets.

    The rules are: our own name; our own in another spelling; a synonym; a nested field whose last part is
    one of those.
    """
    names = [name for name in names if name]
    if column.value in names:
        return [column.value]
    ours, known = plain(column.value), SYNONYMS.get(column, ())
    for found in (
        [name for name in names if plain(name) == ours],
        [name for name in names if plain(name) in known],
        [name for name in names if "." in name and plain(_leaf(name)) in (ours, *known)],
    ):
        if found:
            return found
    return []


def history_candidates(names: Iterable[str]) -> list[str]:
    """The names that mean a list of items, such as ``history``, ``item_ids`` or ``item_id_list``."""
    return [name for name in names if _HISTORY.fullmatch(plain(name))]


def _leaf(path: str) -> str:
    return re.sub(r"\.\$\w+$", "", path).rpartition(".")[2]
