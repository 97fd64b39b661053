"""Archives and workbooks that attack, made when they are sent."""

import io
import zipfile
from collections.abc import Callable, Iterator


def zipped(**members: bytes) -> bytes:
    """A ZIP archive of some members, as `torch.save` and Excel write one too."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def zip_bomb(name: str, content: Callable[[], Iterator[bytes]]) -> bytes:
    """A ZIP archive whose one member is the stream."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w", force_zip64=True) as member:
            for piece in content():
                member.write(piece)
        if name.startswith("xl/"):
            archive.writestr("xl/workbook.xml", _WORKBOOK)
    return sink.getvalue()


def understated(archive: bytes) -> bytes:
    """The archive, whose directory says that its member has 10 bytes."""
    content = bytearray(archive)
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (10).to_bytes(4, "little")
    return bytes(content)


def workbook(sheet: bytes) -> bytes:
    """An Excel workbook with the cells of ``sheet``."""
    return zipped(
        **{
            "[Content_Types].xml": _TYPES,
            "_rels/.rels": _RELATIONS % (b"officeDocument", b"xl/workbook.xml"),
            "xl/workbook.xml": _WORKBOOK,
            "xl/_rels/workbook.xml.rels": _RELATIONS % (b"worksheet", b"worksheets/sheet1.xml"),
            "xl/worksheets/sheet1.xml": b"<worksheet><sheetData>%b</sheetData></worksheet>" % sheet,
        }
    )


_OFFICE = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_WORKBOOK = (
    b'<workbook xmlns:r="'
    + _OFFICE
    + b'"><sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>'
)
_RELATIONS = (
    b'<Relationships><Relationship Id="r1" Type="' + _OFFICE + b'/%b" Target="%b"/></Relationships>'
)
_TYPES = b'<Types><Default Extension="xml" ContentType="application/xml"/></Types>'
_CELL = b'<c r="%b" t="str"><v>%b</v></c>'


def rows_of_cells(*rows: tuple[bytes, ...]) -> bytes:
    """The XML of a sheet's first rows."""
    cells = [
        b"".join(_CELL % (b"%c%d" % (65 + at, number), cell) for at, cell in enumerate(row))
        for number, row in enumerate(rows, 1)
    ]
    return b"".join(b'<row r="%d">%b</row>' % (n, row) for n, row in enumerate(cells, 1))
