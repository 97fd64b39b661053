"""Several files as one table: the files of a folder, partitions, and training, validation and test apart."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PurePosixPath
from urllib.parse import unquote

import pyarrow as pa

from dealrec.config import Column, Split
from dealrec.config.formats import FileFormat
from dealrec.config.layouts import Layout
from dealrec.data.archives import is_content
from dealrec.data.detection import file_error
from dealrec.data.limits import Limits
from dealrec.data.readers import OpenedTable, open_table
from dealrec.data.recognition import INTERACTIONS
from dealrec.data.renaming import RenamedTable
from dealrec.data.tables import ROWS_OF_A_FILE, BadRow, Batch
from dealrec.disk import local_source
from dealrec.progress import SILENT, Reporter

FILES = 10_000
"""Files of a data set."""
_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "trn"), Split.TRAIN),
    **dict.fromkeys(("valid", "validation", "val", "dev"), Split.VALID),
    **dict.fromkeys(("test", "testing", "tst"), Split.TEST),
}
_WORDS = re.compile(r"[a-z]+")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""The folder of rows that lack a value of the partition's column."""


@dataclass(frozen=True)
class Part:
    """One file of a table."""

    path: Path
    name: str
    """Its name, or its path within the folder."""
    partition: Mapping[str, str | None]
    """The columns that folders such as ``day=2020-09-13`` say, and their values."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """The names that some of its columns have in the table, by those in the file."""


def parts_of(
    paths: Sequence[Path],
    names: Sequence[str] | None = None,
    renamed: Sequence[Mapping[str, str]] | None = None,
) -> list[Part]:
    """The files in ``paths``; those of a folder in the order of their names.

    Hidden files, those that begin with ``_``, as Spark leaves them, READMEs and licences are no parts, and
    where others are not empty, empty files are none.

    Args:
        paths: Files and folders.
        names: The names of the files, one for each of the paths; the folders at the end of a path that say
            partitions are part of its name.
        renamed: For each of the paths the names that columns have in the table, by those in the file.

    Raises:
        InputError: ``no_such_file``, ``empty_file`` for a folder without files, ``too_many_files``.
    """
    found: list[Part] = []
    called = renamed or [{}] * len(paths)
    for path, name, own in zip(paths, names or map(file_name, paths), called, strict=True):
        if not local_source(path).is_dir():
            found.append(Part(path, name, _partition(PurePosixPath(name)), own))
            continue
        inside = [_part(path, file) for file in sorted(path.rglob("*")) if _is_table(path, file)]
        if not inside:
            raise file_error(path.name, "empty_file", "The folder holds no table.")
        found += [part for part in inside if part.path.stat().st_size] or inside
    if len(found) > FILES:
        message = f"There are {len(found):,} files; at most {FILES:,} are read."
        raise file_error(paths[0].name, "too_many_files", message)
    return found


def open_parts(
    parts: Sequence[Part],
    *,
    asked: FileFormat,
    layout: Layout | None = None,
    role: str = INTERACTIONS,
    limits: Limits,
    reporter: Reporter = SILENT,
) -> OpenedTable:
    """Open one or several files as one table, as :func:`~dealrec.data.readers.open_table` opens one.

    Raises:
        InputError: One of them cannot be read, or they have no columns in common.
    """
    opened = [
        _renamed(
            open_table(
                part.path,
                part.name,
                asked=asked,
                layout=layout,
                role=role,
                limits=limits,
                reporter=reporter,
            ),
            part.renamed,
        )
        for part in parts
    ]
    constants = [dict(part.partition) for part in parts]
    splits = _splits(parts) if Column.SPLIT.value not in opened[0].table.column_names else None
    said = list(opened[0].said)
    if splits is not None:
        for values, split in zip(constants, splits, strict=True):
            values[Column.SPLIT.value] = split.value
        said.append("the names of the files say training, validation and test")
    if len(parts) == 1 and not constants[0]:
        return opened[0]
    said.append(f"{len(parts):,} files were read as one table")
    return replace(opened[0], table=JoinedTables(opened, constants), said=said, further=opened[1:])


def _renamed(opened: OpenedTable, renamed: Mapping[str, str]) -> OpenedTable:
    if not renamed:
        return opened
    columns = {ours: renamed.get(theirs, theirs) for ours, theirs in opened.columns.items()}
    return replace(opened, table=RenamedTable(opened.table, renamed), columns=columns)


class JoinedTables:
    """Tables one after another, with columns whose values are the same in a whole table."""

    def __init__(
        self, opened: Sequence[OpenedTable], constants: Sequence[Mapping[str, str | None]]
    ) -> None:
        tables = [one.table for one in opened]
        self.name = tables[0].name
        self._tables, self._constants = tables, constants
        own = [
            name for name in tables[0].column_names if all(name in t.column_names for t in tables)
        ]
        added = dict.fromkeys(name for values in constants for name in values)
        self.column_names = [*own, *(name for name in added if name not in own)]
        self.lists = {name: s for name, s in tables[0].lists.items() if name in own}
        if not own:
            raise file_error(
                tables[0].name,
                "missing_column",
                f"The file has no column in common with {tables[1].name}.",
            )

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        return name in self.column_names or all(table.has(name) for table in self._tables)

    def notes(self) -> list[str]:
        """See :meth:`dealrec.data.tables.TableReader.notes`."""
        return [note for table in self._tables for note in table.notes()]

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """See :meth:`dealrec.data.tables.TableReader.batches`."""
        for at, (table, values) in enumerate(zip(self._tables, self._constants, strict=True)):
            added = {name: value for name, value in values.items() if name in columns or others}
            own = [name for name in columns if name not in added]
            for batch in table.batches(own, others=others):
                count = len(batch.rows)
                cells = {
                    name: pa.array([value] * count, pa.string()) for name, value in added.items()
                }
                first = at * ROWS_OF_A_FILE
                bad = [BadRow(row.row + first, row.column, row.reason) for row in batch.bad]
                yield Batch({**batch.columns, **cells}, batch.rows + first, bad)


def _is_table(folder: Path, file: Path) -> bool:
    return file.is_file() and is_content(PurePosixPath(file.relative_to(folder)))


def _part(folder: Path, file: Path) -> Part:
    inner = PurePosixPath(file.relative_to(folder))
    return Part(file, str(inner), _partition(inner))


def file_name(path: PurePath) -> str:
    """The name of a file, with the folders before it that say partitions, such as ``day=2020-09-13``."""
    first = len(path.parts) - 1
    while first > 0 and "=" in path.parts[first - 1]:
        first -= 1
    return "/".join(path.parts[first:])


def _partition(path: PurePosixPath) -> dict[str, str | None]:
    return {
        unquote(name): None if value == _NO_VALUE else unquote(value)
        for name, sign, value in (part.partition("=") for part in path.parts[:-1])
        if sign and name
    }


def _splits(parts: Sequence[Part]) -> list[Split] | None:
    """The split that the name of each file says, if all of them say one and they differ."""
    found: list[Split] = []
    for part in parts:
        words = {
            _SPLIT_NAMES[word] for word in _WORDS.findall(part.name.lower()) if word in _SPLIT_NAMES
        }
        if len(words) != 1:
            return None
        found += words
    return found if len(set(found)) > 1 else None
