"""The mapping of our column names to the columns of a file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dealrec.config import Column
from dealrec.config.formats import SEPARATOR_NAMES, RowOrder
from dealrec.data.dates import looks_like_date
from dealrec.data.detection import file_error
from dealrec.data.readers import OpenedTable
from dealrec.data.synonyms import candidates, history_candidates, plain
from dealrec.errors import InputError

_PRESENTABLE = re.compile(r"[\w#$@][\w .:/$#@\-]{0,60}")
_SHOWN = 20
_SHOWN_AS = {
    Column.TIMESTAMP: "`timestamp` or `position`, which give the order of a user's interactions"
}
_FOR_TUNING = {"instruction", "input", "output"}


@dataclass
class FoundColumns:
    """The file's names of our columns, and a word on each that was not given."""

    columns: dict[Column, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def take(self, column: Column, name: str) -> None:
        """Take a column under the name that the file has for it."""
        self.columns[column] = name
        if name != column.value:
            self.said.append(f"`{column}` is `{name}`")


def interaction_columns(opened: OpenedTable, columns: Mapping[Column, str]) -> FoundColumns:
    """Find our columns in a file of interactions.

    A column that ``columns`` does not name is the one that the layout names, or that has our name or the only
    one with a name that is known for it.

    Args:
        opened: The opened file.
        columns: Maps our names to the file's.

    Raises:
        InputError: ``missing_column`` when there is no user id, no item id, or neither a timestamp
            nor a position, or when ``columns`` names a column that the file does not have;
            ``several_columns`` when several may be meant.
    """
    finder, lacking = _Finder(opened, columns, "columns"), []
    found = finder.found
    if not finder.take(Column.USER_ID):
        lacking.append(Column.USER_ID)
    if not finder.take_likely(Column.ITEM_ID, needed=False) and not finder.take_history():
        lacking += [] if finder.take(Column.ITEM_ID) else [Column.ITEM_ID]
    for column in (Column.POSITION, Column.SPLIT):
        finder.take_own(column)
    if opened.format.order is not RowOrder.FILE:
        ordered = Column.POSITION in found.columns or finder.holds_lists
        if not finder.take_likely(Column.TIMESTAMP, needed=not ordered) and not (
            ordered or finder.take_history() or finder.take_late(Column.POSITION)
        ):
            lacking.append(Column.TIMESTAMP)
    if lacking:
        raise finder.missing(*lacking)
    for column in (Column.RATING, Column.EVENT):
        finder.take_likely(column, needed=False)
    return found


def item_columns(
    opened: OpenedTable,
    columns: Mapping[Column, str],
    shared: Mapping[Column, str],
    used: Mapping[Column, str],
) -> FoundColumns:
    """Find ``item_id`` and ``title`` in an items file, as :func:`interaction_columns` does.

    Args:
        opened: The opened file.
        columns: Maps our names to those of the items file.
        shared: The map for the interactions, whose names count where the items file has them.
        used: The columns of the interactions.
    """
    finder = _Finder(opened, columns, "item_columns")
    for column in (Column.ITEM_ID, Column.TITLE):
        names = [shared.get(column), opened.columns.get(column), column.value]
        if column is Column.ITEM_ID:
            names.append(used[Column.ITEM_ID])
        first = next((name for name in names if name in opened.table.column_names), None)
        late = shared.get(column)
        if column not in columns and first is None and late is not None and opened.table.has(late):
            first = late
        if column not in columns and first is not None:
            finder.found.take(column, first)
        elif not finder.take(column):
            raise finder.missing(column)
    return finder.found


class _Finder:
    def __init__(self, opened: OpenedTable, given: Mapping[Column, str], option: str) -> None:
        self.found = FoundColumns()
        self._opened = opened
        self._table = opened.table
        self._given = given
        self._option = option

    def take(self, column: Column) -> bool:
        """Take the column that is needed, by any rule."""
        return (
            self.take_own(column) or self.take_likely(column, needed=True) or self.take_late(column)
        )

    def take_own(self, column: Column) -> bool:
        """Take the column that is given, or that the layout or our own name says."""
        if column in self._given:
            name = self._given[column]
            if not self._table.has(name):
                raise self._no_such(column, name)
            self.found.columns[column] = name
            return True
        for known in (self._opened.columns.get(column), column.value):
            if known is not None and known in self._table.column_names:
                self.found.take(column, known)
                return True
        return False

    def take_likely(self, column: Column, *, needed: bool) -> bool:
        """Take the column by a name that is known for it, if only one column has such a name."""
        if self.take_own(column):
            return True
        names = [n for n in self._table.column_names if n not in self.found.columns.values()]
        likely = candidates(column, names)
        if not likely and self._option == "item_columns" and column is Column.ITEM_ID:
            likely = [name for name in names if plain(name) == "id"]
        if len(likely) == 1:
            self.found.take(column, likely[0])
        elif len(likely) > 1 and needed:
            raise self._several(column, likely)
        elif needed and column is Column.TIMESTAMP:
            self.take_late(column)
        return column in self.found.columns

    def take_late(self, column: Column) -> bool:
        """Take the column under our name where only later rows have it."""
        if self._table.has(column.value):
            self.found.take(column, column.value)
        return column in self.found.columns

    @property
    def holds_lists(self) -> bool:
        """Whether the cells of the items' column hold several items."""
        name = self.found.columns.get(Column.ITEM_ID)
        return name in self._table.lists or self._opened.format.list_separator is not None

    def take_history(self) -> bool:
        """Take the one column of lists whose name says that it holds items."""
        lists = history_candidates(self._table.lists)
        if len(lists) == 1:
            self.found.take(Column.ITEM_ID, lists[0])
        return len(lists) == 1

    def missing(self, *columns: Column) -> InputError:
        """Make the error that lists the file's columns and says how to name those that are meant."""
        if self._opened.hint:
            detail = f"There is only one column.{self._opened.hint}"
            return self._error("missing_column", detail, columns[0].value)
        if self._opened.rows is not None:
            return self._unnamed()
        shown = " and no column ".join(_SHOWN_AS.get(column, f"`{column}`") for column in columns)
        option = f"`{' '.join(self._say(column) for column in columns)}`"
        if Column.TIMESTAMP in columns:
            option += ", or `--set data.format.order=file` if the rows are in time order"
        which = "one it is" if len(columns) == 1 else "ones they are"
        detail = f"There is no column {shown}. {self._listed()} Name the {which} with {option}."
        detail += (
            self._layouts()
            + self._other_files()
            + self._several_items()
            + self._perhaps_no_header()
        )
        if {plain(name) for name in self._table.column_names} >= _FOR_TUNING:
            detail = (
                "The file holds texts for fine-tuning (instruction, input, output), which name no "
                "users or items. `dealrec finetune` reads such files; pruning needs the interactions "
                f"from which they were made. {self._listed()}"
            )
        return self._error("missing_column", detail, columns[0].value)

    def _perhaps_no_header(self) -> str:
        """A word on the first line, where no column of it is known."""
        names = self._table.column_names
        if self.found.columns or not getattr(
            getattr(self._table, "dialect", None), "header", False
        ):
            return ""
        guess = (
            _guessed_names([names]) if self._option == "columns" else _guessed_item_names([names])
        )
        part = "format" if self._option == "columns" else "item_format"
        return (
            " If the first line is no header, give the column names by position "
            f"(`--set data.{part}.names={','.join(guess)}`)."
        )

    def _other_files(self) -> str:
        """A word on the file whose columns differ from the others', where several are one table."""
        common = set(self._table.column_names)
        for other in (opened.table for opened in self._opened.further):
            if not set(other.column_names) <= common:
                return (
                    f" Only columns that all {len(self._opened.further) + 1} files have are read, and "
                    f"{other.name} has {', '.join(other.column_names[:_SHOWN])}. Give files of one kind."
                )
        return ""

    def _several_items(self) -> str:
        """A word on histories, where no time is there and ids may have several parts."""
        if self._option != "columns" or Column.TIMESTAMP in self.found.columns:
            return ""
        return (
            " If a cell holds all items of a user, `--set data.format.list_separator=space` (or "
            "`comma`, …) splits it."
        )

    def _no_such(self, column: Column, name: str) -> InputError:
        way = f"Name the one it is with `{self._say(column)}`."
        detail = f"There is no column `{name}`. {self._listed()} {way}"
        return self._error("missing_column", detail, name)

    def _several(self, column: Column, likely: Sequence[str]) -> InputError:
        named = " and ".join(f"`{name}`" for name in likely)
        detail = (
            f"Several columns may be `{column}`: {named}. Name the right one, such as "
            f"`{self._say(column, likely[0])}`. {self._listed()}"
        )
        return self._error("several_columns", detail, column.value)

    def _unnamed(self) -> InputError:
        rows = self._opened.rows or ()
        guess = _guessed_names(rows) if self._option == "columns" else _guessed_item_names(rows)
        part = "format" if self._option == "columns" else "item_format"
        detail = (
            "The first line does not look like a header. Give the column names by position "
            f"(`--set data.{part}.names={','.join(guess)}`), set `--set data.{part}.header=true` if it "
            f"is one, or name a layout (`dealrec layouts` lists them).{self._layouts()}"
        )
        if self._option == "columns" and "timestamp" not in guess:
            detail += self._lines_of_items()
        return self._error("missing_column", detail, guess[0])

    def _layouts(self) -> str:
        """A word on the layouts that the file may have."""
        options = " or ".join(f"`--set data.layout={name}`" for name in self._opened.proposed)
        return f" The layout may be that of a public data set: {options}." if options else ""

    def _lines_of_items(self) -> str:
        """How lines of a user and all items are read."""
        separator = getattr(getattr(self._table, "dialect", None), "separator", " ")
        named = SEPARATOR_NAMES.get(separator, separator)
        options = ("names=user_id,item_id", "rest=true", f"list_separator={named}", "order=file")
        told = " ".join(f"--set data.format.{option}" for option in options)
        return f" If a line holds a user and all of the user's items, use `{told}`."

    def _say(self, column: Column, name: str = "NAME") -> str:
        if self._option == "columns":
            return f"--column {column}={name}"
        return f"--set data.item_columns.{column}={name}"

    def _listed(self) -> str:
        names = [name for name in self._table.column_names if name][:_SHOWN]
        if not all(map(_PRESENTABLE.fullmatch, names)):
            return f"The file has {len(self._table.column_names):,} columns."
        more = len(self._table.column_names) - len(names)
        return f"The columns are: {', '.join(names)}{f' and {more:,} more' if more > 0 else ''}."

    def _error(self, code: str, detail: str, place: str) -> InputError:
        return file_error(self._table.name, code, detail, "1", place)


def _guessed_names(rows: Sequence[Sequence[str]]) -> list[str]:
    """Names for the columns of interactions, by what their cells look like."""
    width = len(rows[0]) if rows else 2
    names = [""] * width
    for at in range(width):
        cells = [row[at].strip() for row in rows if len(row) == width]
        timely = cells and all(
            re.fullmatch(r"\d{9,13}(\.\d+)?", cell) or looks_like_date(cell) for cell in cells
        )
        if timely and "timestamp" not in names:
            names[at] = "timestamp"
        elif at > 1 and cells and all(re.fullmatch(r"\d(\.\d+)?", cell) for cell in cells):
            names[at] = "rating" if "rating" not in names else ""
    free = [at for at, name in enumerate(names) if not name]
    for at, name in zip(free, ("user_id", "item_id"), strict=False):
        names[at] = name
    return [name or f"column_{at}" for at, name in enumerate(names, 1)]


def _guessed_item_names(rows: Sequence[Sequence[str]]) -> list[str]:
    width = len(rows[0]) if rows else 2
    return ["item_id", "title", *(f"column_{at}" for at in range(3, width + 1))][: max(width, 2)]
