"""Opens a file with the reader of its format, in the layout that it has."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dealrec.config import Column
from dealrec.config.formats import FileFormat
from dealrec.config.layouts import Layout, TableLayout
from dealrec.config.wording import counted
from dealrec.data.archives import is_workbook
from dealrec.data.cell_lists import list_columns
from dealrec.data.delimited import DelimitedReader
from dealrec.data.detection import (
    HEAD_BYTES,
    Compression,
    Format,
    detect_format,
    file_error,
    refuse_foreign,
)
from dealrec.data.dialects import sniff
from dealrec.data.json_lines import JsonReader
from dealrec.data.limits import Limits
from dealrec.data.parquet import ParquetReader
from dealrec.data.recognition import (
    INTERACTIONS,
    Match,
    completed,
    file_names,
    forms,
    matches_by_cells,
    matches_by_names,
    width_match,
)
from dealrec.data.sheets import WorkbookReader
from dealrec.data.streams import UnpackedFile
from dealrec.data.tables import TableReader
from dealrec.progress import SILENT, Reporter


@dataclass(frozen=True)
class OpenedTable:
    """A file that is ready to be read, and what was found about it."""

    table: TableReader
    format: FileFormat
    """What was asked for, completed by the layout."""
    layout: TableLayout | None = None
    columns: Mapping[Column, str] = field(default_factory=dict)
    """Our column names to the file's, as far as the layout says them."""
    said: Sequence[str] = ()
    """What was found, in words."""
    proposed: Sequence[str] = ()
    """Layouts that the file may have, but that it is not read in without being asked."""
    rows: Sequence[Sequence[str]] | None = None
    """The first rows of a file whose columns nothing names."""
    hint: str = ""
    """What to do where no column is found, in words."""
    file: UnpackedFile | None = None
    further: Sequence["OpenedTable"] = ()
    """The other files of the table."""

    def notes(self) -> list[str]:
        """What was found about the encoding while the file was read."""
        return [
            note
            for opened in (self, *self.further)
            if opened.file is not None
            for note in encoding_notes(opened.file)
        ]


def open_table(
    path: Path,
    name: str,
    *,
    asked: FileFormat | None = None,
    layout: Layout | None = None,
    role: str = INTERACTIONS,
    limits: Limits | None = None,
    reporter: Reporter = SILENT,
) -> OpenedTable:
    """Open the file at ``path``.

    Args:
        path: The file.
        name: The file's name in error messages.
        asked: What is known about the file.
        layout: The layout that it has.
        role: Whether it holds ``interactions`` or ``items``.
        limits: Limits on the file.
        reporter: Gets the progress in bytes.

    Raises:
        InputError: The file is not a table that can be read, or has another layout.
    """
    asked = asked or FileFormat()
    if is_workbook(path):
        return _named(_workbook(path, name, asked, limits or Limits()), layout, role)
    file = UnpackedFile(path, name, limits or Limits(), reporter, asked.encoding)
    refuse_foreign(file.head, name)
    text = file.head if file.head.startswith(b"PAR1") else file.text_head()
    said = [] if file.compression is Compression.NONE else [f"{file.compression} was unpacked"]
    # A separator may be a control character, which is a sign of a binary file elsewhere.
    detected = detect_format(text.replace((asked.separator or ",").encode(), b","), name)
    match detected:
        case Format.PARQUET:
            opened = OpenedTable(ParquetReader(file), asked, said=[*said, "read as Parquet"])
        case Format.JSON:
            reader = JsonReader(file)
            opened = OpenedTable(reader, asked, said=[*said, f"read as {reader.shape}"])
        case Format.DELIMITED:
            opened = _delimited(file, text.decode(), asked, layout, role)
            opened = replace(opened, said=[*said, *opened.said])
    return replace(_named(opened, layout, role), file=file)


def _workbook(path: Path, name: str, asked: FileFormat, limits: Limits) -> OpenedTable:
    reader = WorkbookReader(path, name, limits, asked)
    rows = None if reader.headed or asked.names else reader.rows
    said = ["read as an Excel workbook", *_header_words(reader.headed, asked)]
    return OpenedTable(reader, asked, said=[", ".join(said)], rows=rows)


def _header_words(headed: bool, asked: FileFormat) -> list[str]:
    """What to say where there is no header, or where the names that are given stand for its own."""
    if not headed:
        return ["there is no header"]
    return ["the first line is a header, whose names were replaced"] if asked.names else []


def _delimited(
    file: UnpackedFile, text: str, asked: FileFormat, layout: Layout | None, role: str
) -> OpenedTable:
    whole = len(file.head) < HEAD_BYTES
    found = sniff(text, file.table_name, asked, whole=whole)
    if found.dialect.header or asked.names:
        reader = DelimitedReader(file, found.dialect)
        if role == INTERACTIONS:
            lists = list_columns(reader.column_names, found.rows, asked.list_separator)
            reader.lists = {**lists, **reader.lists}
        said = [found.dialect.told()]
        said += _header_words(headed=True, asked=asked) if found.dialect.header else []
        return OpenedTable(reader, asked, said=[", ".join(said)], hint=found.hint)
    matches = matches_by_cells(found.dialect, found.rows, role, layout)
    form, known, proposed = _chosen(matches, asked=layout is not None)
    if form is None and layout is not None:
        form, known = width_match(found.rows, role, layout), layout
    if form is None or known is None:
        if layout is not None:
            raise _another_layout(file.name, layout, role, found.dialect.names)
        reader = DelimitedReader(file, found.dialect)
        said = [found.dialect.told()]
        return OpenedTable(reader, asked, None, {}, said, proposed, found.rows, found.hint)
    merged = completed(asked, form.format)
    found = sniff(text, file.table_name, merged, whole=whole)
    dialect = found.dialect
    if not merged.rest:
        width = Counter(map(len, found.rows)).most_common(1)[0][0]
        further = map(str, range(len(dialect.names) + 1, width + 1))
        dialect = replace(dialect, names=(*dialect.names, *further))
    reader = DelimitedReader(file, dialect)
    said = [_recognised(known, asked=layout is not None), dialect.told()]
    return OpenedTable(reader, merged, form, file_names(form, reader.column_names), said)


def _named(opened: OpenedTable, layout: Layout | None, role: str) -> OpenedTable:
    """Recognise a layout by the names of the columns, where it is not known yet."""
    if opened.layout is not None or opened.rows is not None:
        return opened
    matches = matches_by_names(opened.table.column_names, role, layout)
    form, known, proposed = _chosen(matches, asked=layout is not None)
    if form is None or known is None:
        named = () if layout is None else forms(layout, role)
        if layout is not None and any(form.header or form.cells for form in named):
            raise _another_layout(opened.table.name, layout, role, opened.table.column_names)
        return replace(opened, proposed=proposed)
    return replace(
        opened,
        format=completed(opened.format, form.format),
        layout=form,
        columns=file_names(form, opened.table.column_names),
        said=[_recognised(known, asked=layout is not None), *opened.said],
    )


def _chosen(
    matches: list[Match], *, asked: bool
) -> tuple[TableLayout | None, Layout | None, list[str]]:
    """The one form that leaves no doubt, or else the names of the layouts that are possible."""
    sure = matches if asked else [match for match in matches if match[1].certain]
    if sure and (asked or len(sure) == 1):
        return sure[0][1], sure[0][0], []
    return None, None, list(dict.fromkeys(layout.name for layout, _ in matches))


def _recognised(layout: Layout, *, asked: bool) -> str:
    return f"the layout is {layout.name}" if asked else f"the layout `{layout.name}` was detected"


def _another_layout(name: str, layout: Layout, role: str, names: Sequence[str]) -> Exception:
    said = "; or ".join(", ".join(form.columns.values()) for form in forms(layout, role))
    which = f"its columns are {said}" if said else f"it has no file of {role}"
    return file_error(
        name,
        "another_layout",
        f"The file does not have the layout `{layout.name}`: {which}, but the file has {len(names)} "
        "columns. `dealrec layouts` lists the layouts; `data.format` and `data.columns` describe a "
        "file that has none of them.",
    )


def encoding_notes(file: UnpackedFile) -> list[str]:
    """What was found about the encoding of a text that has been read."""
    found = file.surveyed
    notes = [f"the text is in {file.encoding}"] if file.encoding not in (None, "utf-8") else []
    if found is not None and file.encoding == "utf-8" and found.invalid:
        notes.append(
            f"bytes that are not UTF-8 are in {counted(found.invalid, 'line')}, and cells with them are not "
            "used; if the file has another encoding, set it (`--set data.format.encoding=cp1252`, "
            "`item_format` for the items)"
        )
    return notes
