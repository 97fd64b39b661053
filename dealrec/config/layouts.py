"""The named layouts: the forms in which public data sets of the field come.

Examples:
    >>> LAYOUTS["movielens-1m"].summary
    'MovieLens 1M and 10M, MovieTweetings: ratings.dat and movies.dat.'
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dealrec.config.columns import Column
from dealrec.config.formats import FileFormat
from dealrec.errors import FieldError, InputError

_INT, _WORD, _ANY = r"\d+", r"[\w.:\-]+", r".*"
_EPOCH, _MILLIS = r"\d{9,10}", r"\d{12,13}"
_RATING = r"(10|[0-9])(\.\d+)?"
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?"
_UUID = r"([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?"


@dataclass(frozen=True)
class TableLayout:
    """The form of one file."""

    columns: Mapping[Column, str]
    """Our column names to the file's; where it has none, to those of ``names`` in its format."""
    format: FileFormat = field(default_factory=FileFormat)
    cells: tuple[str, ...] = ()
    """The patterns of the cells of a file without a header. Lines may have more cells of the last pattern."""
    header: frozenset[str] = frozenset()
    """The names that the header, or the objects, have; without case and marks."""
    certain: bool = True
    """Whether a file that looks like this is read so without being asked."""
    ragged: bool = False
    """Whether lines have different numbers of cells, one line for each user."""
    grouped: bool = False
    """Whether the lines of a user stand together."""
    clicks: str | None = None
    """The column of impressions, in which ``-1`` marks what was clicked."""

    def told(self) -> str:
        """The columns in one line: those of a file without a header by position."""
        if self.format.names:
            return f"lines of {', '.join(self.format.names)}"
        return ", ".join(f"{ours}={theirs}" for ours, theirs in self.columns.items())

    def to_json(self) -> dict[str, Any]:
        """Our column names to the file's, and the format as far as the layout says it."""
        return {
            "columns": {ours.value: theirs for ours, theirs in self.columns.items()},
            "format": self.format.model_dump(mode="json", exclude_unset=True),
        }


@dataclass(frozen=True)
class Layout:
    """The forms of a public data set's files."""

    name: str
    summary: str
    interactions: tuple[TableLayout, ...]
    items: tuple[TableLayout, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The entry in a list of layouts."""
        return {
            "name": self.name,
            "summary": self.summary,
            "interactions": [form.to_json() for form in self.interactions],
            "items": [form.to_json() for form in self.items],
        }


def layout_named(name: str) -> Layout:
    """The layout of this name.

    Raises:
        InputError: ``unknown_layout``; the message lists the names.
    """
    if name not in LAYOUTS:
        known = ", ".join(LAYOUTS)
        raise InputError(
            f"There is no layout `{name}`. Known layouts are: {known}.",
            code="unknown_layout",
            errors=[FieldError("data.layout", f"not one of {known}")],
        )
    return LAYOUTS[name]


def _interactions(
    user: str, item: str, time: str | None = None, rating: str | None = None, **more: str
) -> dict[Column, str]:
    named = {
        Column.USER_ID: user,
        Column.ITEM_ID: item,
        Column.TIMESTAMP: time,
        Column.RATING: rating,
        **{Column(ours): theirs for ours, theirs in more.items()},
    }
    return {ours: theirs for ours, theirs in named.items() if theirs}


def _items(item: str, title: str) -> dict[Column, str]:
    return {Column.ITEM_ID: item, Column.TITLE: title}


def _positions(separator: str, names: str, **more: Any) -> FileFormat:
    """The format of a file without a header."""
    return FileFormat.parse({"separator": separator, "header": False, "names": names, **more})


def _header(names: str) -> frozenset[str]:
    return frozenset(names.split())


_BY_ROW = FileFormat.parse({"order": "file"})
_OURS = _interactions("user_id", "item_id", "timestamp", "rating")
_OURS_UNRATED = _interactions("user_id", "item_id", "timestamp")
_OURS_UNTIMED = _interactions("user_id", "item_id")
_OUR_ITEMS = _items("item_id", "title")
_RATED = "user_id,item_id,rating,timestamp"

_LISTED = (
    Layout(
        "movielens",
        "MovieLens 20M, 25M, 32M and the small ones: ratings.csv and movies.csv.",
        (TableLayout(_interactions("userId", "movieId", "timestamp", "rating"),
                     header=_header("userid movieid rating timestamp")),),
        (TableLayout(_items("movieId", "title"), header=_header("movieid title genres")),),
    ),
    Layout(
        "movielens-1m",
        "MovieLens 1M and 10M, MovieTweetings: ratings.dat and movies.dat.",
        (TableLayout(_OURS, _positions("::", _RATED), cells=(_INT, _INT, _RATING, _EPOCH)),),
        (TableLayout(_OUR_ITEMS, _positions("::", "item_id,title,genres"),
                     cells=(_INT, r".+\(\d{4}(/.*)?\)\s*", _ANY)),),
    ),
    Layout(
        "movielens-100k",
        "MovieLens 100K: u.data and u.item.",
        (TableLayout(_OURS, _positions("tab", _RATED), cells=(_INT, _INT, r"[1-5]", _EPOCH)),),
        (TableLayout(_OUR_ITEMS, _positions("pipe", "item_id,title,release_date,video_date,url"),
                     cells=(_INT, _ANY, r"(\d\d-\w{3}-\d{4})?", _ANY, r"(https?://.*)?", r"[01]")),),
    ),
    Layout(
        "amazon-2014",
        "Amazon reviews of 2014 and 2018: JSON with reviewerID, asin and unixReviewTime; meta_*.json.",
        (TableLayout(_interactions("reviewerID", "asin", "unixReviewTime", "overall"),
                     header=_header("reviewerid asin unixreviewtime")),),
        (TableLayout(_items("asin", "title"), header=_header("asin title price")),),
    ),
    Layout(
        "amazon-ratings",
        "Amazon ratings only, of 2014: lines of user, item, rating, time.",
        (TableLayout(_OURS, _positions(",", _RATED),
                     cells=(r"A[0-9A-Z]{8,20}", r"[0-9A-Z]{10}", _RATING, _EPOCH)),),
        (TableLayout(_items("asin", "title"), header=_header("asin title price")),),
    ),
    Layout(
        "amazon-2018-ratings",
        "Amazon ratings only, of 2018: lines of item, user, rating, time.",
        (TableLayout(_OURS, _positions(",", "item_id,user_id,rating,timestamp"),
                     cells=(r"[0-9A-Z]{10}", r"A[0-9A-Z]{10,20}", _RATING, _EPOCH)),),
        (TableLayout(_items("asin", "title"), header=_header("asin title price")),),
    ),
    Layout(
        "amazon-2023",
        "Amazon reviews of 2023: JSON or CSV with user_id, parent_asin and timestamp; meta_*.jsonl.",
        (TableLayout(_interactions("user_id", "parent_asin", "timestamp", "rating"),
                     header=_header("userid parentasin timestamp rating")),),
        (TableLayout(_items("parent_asin", "title"), header=_header("parentasin title maincategory")),
         TableLayout(_items("parent_asin", "title"), header=_header("parentasin title averagerating"))),
    ),
    Layout(
        "yoochoose",
        (
            "RecSys Challenge 2015: yoochoose-clicks.dat and yoochoose-buys.dat; each session counts as a "
            "user."
        ),
        (TableLayout(_OURS_UNRATED, _positions(",", "user_id,timestamp,item_id,category"),
                     cells=(_INT, _ISO, _INT, r"\w*")),
         TableLayout(_OURS_UNRATED, _positions(",", "user_id,timestamp,item_id,price,quantity"),
                     cells=(_INT, _ISO, _INT, _INT, _INT)),
         TableLayout(_interactions("SessionId", "ItemId", "Time"), header=_header("sessionid itemid time"))),
    ),
    Layout(
        "retailrocket",
        "Retailrocket: events.csv; each visitor counts as a user.",
        (TableLayout(_interactions("visitorid", "itemid", "timestamp"),
                     header=_header("timestamp visitorid event itemid")),),
    ),
    Layout(
        "diginetica",
        "CIKM Cup 2016: train-item-views.csv; each session counts as a user.",
        (TableLayout(_interactions("session_id", "item_id", "eventdate", position="timeframe"),
                     header=_header("sessionid itemid timeframe eventdate")),),
    ),
    Layout(
        "lastfm-1k",
        "LastFM 1K: userid-timestamp-artid-artname-traid-traname.tsv; the artist's name is the item.",
        (TableLayout(_interactions("user_id", "artist", "timestamp"),
                     _positions("tab", "user_id,timestamp,artist_id,artist,track_id,track", quote="none"),
                     cells=(r"user_\d{6}", _ISO, _UUID, _ANY, _UUID, _ANY)),),
    ),
    Layout(
        "lastfm-360k",
        "LastFM 360K: usersha1-artmbid-artname-plays.tsv. It has no times, so the order of lines is used.",
        (TableLayout(_interactions("user_id", "artist"),
                     _positions("tab", "user_id,artist_id,artist,plays", quote="none", order="file"),
                     cells=(r"[0-9a-f]{40}", _UUID, _ANY, r"\s*\d+"), certain=False),),
    ),
    Layout(
        "hetrec-lastfm",
        (
            "HetRec 2011 LastFM: user_artists.dat and artists.dat. It has no times, so the order of lines "
            "is used."
        ),
        (TableLayout(_interactions("userID", "artistID", "timestamp"),
                     header=_header("userid artistid tagid timestamp")),
         TableLayout(_interactions("userID", "artistID"), _BY_ROW,
                     header=_header("userid artistid weight"), certain=False)),
        (TableLayout(_items("id", "name"), header=_header("id name url pictureurl")),),
    ),
    Layout(
        "gowalla",
        "Gowalla and Brightkite: check-ins as lines of user, time, latitude, longitude, place.",
        (TableLayout(_OURS_UNRATED, _positions("tab", "user_id,timestamp,latitude,longitude,item_id"),
                     cells=(_INT, _ISO, r"-?\d+(\.\d+)?", r"-?\d+(\.\d+)?", r"[0-9a-f]+")),),
    ),
    Layout(
        "foursquare",
        "Foursquare of New York and Tokyo: dataset_TSMC2014_*.txt.",
        (TableLayout(_OURS_UNRATED,
                     _positions("tab", "user_id,item_id,category_id,category,lat,lon,offset,timestamp"),
                     cells=(_INT, r"[0-9a-f]{24}", _WORD, _ANY, r"-?[\d.]+", r"-?[\d.]+", r"-?\d+",
                            r"\w{3} \w{3} \d\d .*")),),
    ),
    Layout(
        "steam",
        "Steam reviews: one Python dictionary a line (username, product_id, date); steam_games.json.",
        (TableLayout(_interactions("username", "product_id", "date"),
                     header=_header("username productid date hours")),),
        (TableLayout(_items("id", "title"), header=_header("id title appname")),
         TableLayout(_items("id", "app_name"), header=_header("id appname"))),
    ),
    Layout(
        "yelp",
        "Yelp: review.json (user_id, business_id, date) and business.json.",
        (TableLayout(_interactions("user_id", "business_id", "date", "stars"),
                     header=_header("userid businessid date stars")),),
        (TableLayout(_items("business_id", "name"), header=_header("businessid name")),),
    ),
    Layout(
        "goodreads",
        "Goodreads of UCSD: goodreads_interactions_*.json (by date_added) and goodreads_books_*.json; "
        "goodreads_interactions.csv has no times, so the order of lines is used.",
        (TableLayout(_interactions("user_id", "book_id", "date_added", "rating"),
                     header=_header("userid bookid dateadded")),
         TableLayout(_interactions("user_id", "book_id", rating="rating"), _BY_ROW,
                     header=_header("userid bookid isread rating isreviewed"), certain=False)),
        (TableLayout(_items("book_id", "title"), header=_header("bookid title")),),
    ),
    Layout(
        "mind",
        (
            "MIND: behaviors.tsv (each row has a history and impressions; clicked items follow the "
            "history) and news.tsv."
        ),
        (TableLayout(_interactions("user_id", "history", "time"),
                     _positions("tab", "impression_id,user_id,time,history,impressions", quote="none",
                                list_separator="space", date_format="%m/%d/%Y %I:%M:%S %p"),
                     cells=(_INT, r"U\d+", r"\d+/\d+/\d{4} \d+:\d\d:\d\d [AP]M", r"(N\d+ ?)*",
                            r"(N\d+(-[01])? ?)*"),
                     clicks="impressions"),),
        (TableLayout(_OUR_ITEMS,
                     _positions("tab", "item_id,category,subcategory,title,abstract,url,title_entities,"
                                "abstract_entities", quote="none"),
                     cells=(r"N\d+", _ANY, _ANY, _ANY, _ANY, _ANY, _ANY, _ANY)),),
    ),
    Layout(
        "microlens",
        (
            "MicroLens: *_pairs.csv (user, item, timestamp), *_pairs.tsv (one history per row) and "
            "*_titles.csv."
        ),
        (TableLayout(_interactions("user", "item", "timestamp"), header=_header("user item timestamp")),
         TableLayout(_OURS_UNTIMED,
                     _positions("tab", "user_id,item_id", list_separator="space", order="file"),
                     cells=(_INT, r"\d+( \d+)+"))),
        (TableLayout(_items("item", "title"), header=_header("item title")),
         TableLayout(_OUR_ITEMS, _positions(",", "item_id,title", rest=True), cells=(_INT, r"\D.*"))),
    ),
    Layout(
        "h-and-m",
        "H&M: transactions_train.csv and articles.csv.",
        (TableLayout(_interactions("customer_id", "article_id", "t_dat"),
                     header=_header("tdat customerid articleid")),),
        (TableLayout(_items("article_id", "prod_name"), header=_header("articleid prodname")),),
    ),
    Layout(
        "book-crossing",
        (
            "Book-Crossing: BX-Book-Ratings.csv and BX-Books.csv. It has no times, so the order of lines "
            "is used."
        ),
        (TableLayout(_interactions("User-ID", "ISBN", rating="Book-Rating"), _BY_ROW,
                     header=_header("userid isbn bookrating"), certain=False),),
        (TableLayout(_items("ISBN", "Book-Title"), header=_header("isbn booktitle")),),
    ),
    Layout(
        "taobao",
        "Taobao: UserBehavior.csv, lines of user, item, category, behaviour, time.",
        (TableLayout(_OURS_UNRATED, _positions(",", "user_id,item_id,category,behaviour,timestamp"),
                     cells=(_INT, _INT, _INT, r"pv|buy|cart|fav", r"-?\d+")),),
    ),
    Layout(
        "otto",
        (
            "OTTO: JSON lines of sessions, each with a list of events (aid, ts); each session counts as a "
            "user."
        ),
        (TableLayout(_interactions("session", "events.aid", "events.ts"),
                     header=_header("session eventsaid eventsts")),),
    ),
    Layout(
        "ta-feng",
        "Ta-Feng: D01, D02, D11, D12; lines of date, customer, age, area, class, product, ….",
        (TableLayout(_OURS_UNRATED,
                     _positions("semicolon", "timestamp,user_id,age,area,class,item_id,amount,asset,price"),
                     cells=(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", _INT, r"\w ?", r"\w ?", _INT, _INT, r"-?\d+",
                            r"-?\d+", r"-?\d+")),),
    ),
    Layout(
        "kuairec",
        "KuaiRec: big_matrix.csv or small_matrix.csv and kuairec_caption_category.csv.",
        (TableLayout(_interactions("user_id", "video_id", "timestamp"),
                     header=_header("userid videoid playduration timestamp")),),
        (TableLayout(_items("video_id", "caption"), header=_header("videoid caption")),),
    ),
    Layout(
        "recbole",
        "RecBole's atomic files: *.inter and *.item, with a header of name:type; item_id_list is a history.",
        (TableLayout(_interactions("user_id", "item_id", "timestamp", "rating")),),
        (TableLayout(_items("item_id", "title")),),
    ),
    Layout(
        "sasrec",
        "SASRec and TiSASRec: lines of user and item in time order, separated by a space.",
        (TableLayout(_OURS_UNTIMED, _positions("space", "user_id,item_id", order="file"), cells=(_INT, _INT),
                     grouped=True),),
    ),
    Layout(
        "s3rec",
        "S3-Rec and P5: lines of a user and all of the user's items in time order.",
        (TableLayout(_OURS_UNTIMED,
                     _positions("space", "user_id,item_id", rest=True, list_separator="space", order="file"),
                     cells=(_INT, _INT), ragged=True),
         TableLayout(_OURS_UNTIMED,
                     _positions("tab", "user_id,item_id", rest=True, list_separator="tab", order="file"),
                     cells=(_INT, _INT), ragged=True)),
    ),
)  # fmt: skip
LAYOUTS = {layout.name: layout for layout in _LISTED}
