"""Options of the data: how files become a data set, sampling units."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, field_validator

from dealrec.config.base import Config, Listed, unless
from dealrec.config.columns import Column
from dealrec.config.formats import FileFormat
from dealrec.config.layouts import LAYOUTS
from dealrec.errors import FieldError, InputError

MAKES_VALIDATION = "a split that creates some, such as `leave_one_out`"
"""The advice if validation samples are missing."""
NO_TIMES = (
    "The data are ordered by position, or were stored by version 0.1.0, which kept no timestamps. Add "
    "a `timestamp` column to the interactions and read them again, or use"
)
"""The beginning of the help where something needs times that the data do not have."""


def no_timestamps(who: str, instead: str, place: str) -> InputError:
    """Make the error for ``who`` needs times where there are none; ``place`` is the option to change."""
    return InputError(
        f"{who} needs timestamps, which the data set does not have. {NO_TIMES} {instead}.",
        code="no_timestamps",
        title="The data have no timestamps",
        errors=[FieldError(place, "the data have no timestamps")],
    )


class SplitMethod(StrEnum):
    """The way interactions are divided into training, validation and test."""

    COLUMN = "column"
    """The file's own ``split`` column."""
    GLOBAL_TIME = "global_time"
    """The oldest 80 % of all interactions are for training, the next 10 % for validation, and the newest 10 %
    for test (as in the paper)."""
    LEAVE_ONE_OUT = "leave_one_out"
    """Each user's last interaction is for test, and the one before it for validation."""
    USERS = "users"
    """For texts without ids only: a tenth of the users, chosen by a hash of their ids, is for validation and
    the rest for training. A sample that names no user counts as a user of its own."""


class DataKind(StrEnum):
    """The kind of data in a data set."""

    INTERACTIONS = "interactions"
    """Users' interactions with items, or samples that name the ids of users and items."""
    TEXTS = "texts"
    """Ready texts that name no ids of items."""

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> "DataKind":
        """Read the kind in the report of a validation; earlier reports are all of interactions."""
        return cls(report.get("kind", DataKind.INTERACTIONS))


class Split(StrEnum):
    """A part of a data set."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


class Sampling(StrEnum):
    """The unit of sampling."""

    AUTO = "auto"
    """``given`` for data that came with samples, else ``per_user``."""
    PER_USER = "per_user"
    """The target is a user's last training item, and the history is the training items before it."""
    PER_INTERACTION = "per_interaction"
    """Every training item with enough history before it is the target of one sample."""
    GIVEN = "given"
    """The samples that came with the data, each with its own texts."""

    def of_data(self, *, given: bool) -> "Sampling":
        """Decide ``auto``; ``given`` says whether the data came with samples."""
        if self is not Sampling.AUTO:
            return self
        return Sampling.GIVEN if given else Sampling.PER_USER


def no_given_samples(location: str) -> InputError:
    """Make the error that a data set has no samples of its own; ``location`` asks for them."""
    return InputError(
        "`sampling` is `given`, but the data set has no file of samples. Add one, or set `sampling` "
        "to `per_user` or `per_interaction`.",
        code="no_given_samples",
        title="The data set has no samples of its own",
        errors=[FieldError(location, "no samples came with the data")],
    )


class ValidationUsers(StrEnum):
    """The validation users whose choices training and scores may look at."""

    AUTO = "auto"
    """``half`` if the adapter is evaluated on validation users, otherwise ``all``."""
    ALL = "all"
    HALF = "half"
    """One half of them, chosen by a hash of their ids; the adapter is evaluated on the other half."""


Name = Annotated[str, Field(min_length=1, max_length=500)]


class Repeats(StrEnum):
    """The interactions that count where a user has several with the same item."""

    ALL = "all"
    FIRST = "first"
    LAST = "last"


class DataOptions(Config):
    """How files become a data set. Every option that changes the content changes its hash with it.

    Examples:
        >>> DataOptions.parse({"columns": {"who": "userId"}}, location="data")
        Traceback (most recent call last):
        dealrec.errors.InputError: `data.columns.who` must be one of user_id, item_id, ...
    """

    columns: Mapping[Column, Name] = {}
    """Our column names to the files' own, where they differ."""
    item_columns: Mapping[Column, Name] = {}
    """The same for the items file, if its names differ from those of the interactions."""
    layout: str | None = Field(None, max_length=60)
    """The layout of a public data set, by its name; `dealrec layouts` lists them."""
    format: FileFormat = FileFormat()
    """How the interactions file is read; what is not set is detected."""
    item_format: FileFormat = FileFormat()
    """How the items file is read; what is not set is detected."""
    split: SplitMethod | None = None
    """How interactions are split. The default is the file's own ``split`` column; without one, the time if
    there are timestamps, and otherwise the last interactions of each user."""
    allowed_rejected: float = Field(0.05, ge=0, le=1)
    """The share of a file's rows that may be unusable; with more, the file is rejected. Repeated and empty
    rows do not count, because nothing is lost with them. Unless you set a share, up to a quarter of the rows
    may lack values that the file marks as missing (null in Parquet, JSON and DataFrames, ``null_values``)."""
    clean_titles: bool = True
    """Whether HTML entities in titles are decoded and tags removed."""
    normalise_ids: bool = False
    """Whether ids that another program has changed are repaired: spaces around them are removed, ``12.0``
    becomes ``12``, and an item that lost its leading zeros gets them back from the items file."""
    min_rating: float | None = None
    """Interactions with a lower ``rating`` are left out. If not set, ratings are ignored."""
    ratings: bool = Field(False, exclude_if=lambda kept: not kept)
    """Whether the ratings of interactions are kept, so that prompts can show them. They are then part of the
    data set's hash."""
    events: Annotated[tuple[Name, ...], Listed] = Field((), max_length=100)
    """Only interactions with one of these values of ``event`` are kept. If not set, events are ignored."""
    last_days: float | None = Field(None, gt=0)
    """Only interactions of this many days before the newest one are kept."""
    session_minutes: float | None = Field(None, gt=0, exclude_if=unless(None))
    """Each session of a user becomes a user of its own. A session ends when the next interaction is more than
    this many minutes later."""
    min_title_length: int = Field(0, ge=0, le=1000)
    """Items whose title has fewer characters are left out, and so are their interactions."""
    repeats: Repeats = Repeats.ALL
    """Which of a user's interactions with the same item are kept."""
    user_core: int = Field(1, ge=1, le=1_000_000)
    """Users with fewer interactions are left out. This is repeated until no such user is left."""
    item_core: int = Field(1, ge=1, le=1_000_000)
    """Items with fewer interactions, or with none, are left out in the same way."""

    @field_validator("layout")
    @classmethod
    def _known_layout(cls, value: str | None) -> str | None:
        if value is not None and value not in LAYOUTS:
            raise ValueError(
                f"there is no layout {value!r}; known layouts are {', '.join(LAYOUTS)}"
            )
        return value

    def of_append(self, asked: "DataOptions | None") -> "DataOptions":
        """The options for files that are appended to a data set that was made with these.

        ``asked`` may say otherwise how files are read; what they become is decided already.

        Raises:
            InputError: ``invalid_config`` where another option is asked for.
        """
        named = set() if asked is None else asked.model_fields_set
        if asked is None or not named:
            return self
        differ = sorted(
            name for name in named - OF_READING if getattr(asked, name) != getattr(self, name)
        )
        if differ:
            raise InputError(
                f"`{differ[0]}` cannot change in an append, because all versions of a data set are "
                "made with the same options. Only the way in which files are read may differ "
                f"({', '.join(sorted(OF_READING))}). For anything else, make a new data set from all "
                "files.",
                code="invalid_config",
                title="The option cannot change in an append",
                errors=[
                    FieldError(f"options.{name}", "cannot change in an append") for name in differ
                ],
            )
        return self.model_copy(update={name: getattr(asked, name) for name in named})

    def of_samples(self) -> "DataOptions":
        """The options for interactions that were made of samples: no file of them was described."""
        made: dict[str, Any] = {
            "columns": {},
            "layout": None,
            "format": FileFormat(),
            "split": SplitMethod.COLUMN,
        }
        return self.model_copy(update=made)

    def asked(self) -> dict[str, Any]:
        """The options that differ from the defaults, as JSON has them."""
        return self.model_dump(mode="json", exclude_defaults=True)


OF_READING = frozenset(
    {"columns", "item_columns", "layout", "format", "item_format", "allowed_rejected"}
)
"""The options that say how files are read; the others say what becomes of their rows."""
AS_THEY_ARE = DataOptions()
"""Nothing is asked for."""


def data_options(
    data: DataOptions | Mapping[str, Any] | None, *, location: str = "data", **others: object
) -> DataOptions:
    """The options in ``data``, with those that are given by themselves: ``None`` stands for not given.

    Raises:
        InputError: ``invalid_config``, also where an option is given in both ways.
    """
    fields = data.model_dump(exclude_unset=True) if isinstance(data, DataOptions) else data
    given = dict(fields or {})
    for name, value in others.items():
        if value is None:
            continue
        if name in given:
            raise InputError(
                f"`{name}` is given by itself and in `{location}`. Leave one of the two out.",
                code="invalid_config",
                title="An option is given twice",
                errors=[FieldError(f"{location}.{name}", f"`{name}` is given by itself, too")],
            )
        given[name] = value
    return DataOptions.parse(given, location=location)
