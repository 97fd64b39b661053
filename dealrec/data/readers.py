"""Opens a file with the reader of its format."""

from pathlib import Path

from dealrec.data.delimited import DelimitedReader
from dealrec.data.detection import Format, detect_format
from dealrec.data.json_lines import JsonLinesReader
from dealrec.data.limits import Limits
from dealrec.data.parquet import ParquetReader
from dealrec.data.streams import UnpackedFile
from dealrec.data.tables import TableReader
from dealrec.progress import SILENT, Reporter


def open_table(
    path: Path, name: str, *, limits: Limits | None = None, reporter: Reporter = SILENT
) -> TableReader:
    """Open the file at ``path``; ``name`` is the file's name in error messages.

    Raises:
        InputError: The file is not a table that can be read.
    """
    file = UnpackedFile(path, name, limits or Limits(), reporter)
    match detect_format(file.head, name):
        case Format.PARQUET:
            return ParquetReader(file)
        case Format.JSON_LINES:
            return JsonLinesReader(file)
        case layout:
            return DelimitedReader(file, layout)
