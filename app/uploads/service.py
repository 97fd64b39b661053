"""The rules of uploads: parts that fit, a file that is whole, and an end to what is forgotten."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from secrets import token_hex

from sqlalchemy.orm import Session

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.errors import Conflict, PayloadTooLarge
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.kit.text import shown_filename
from dealrec.app.quotas.service import require_room
from dealrec.app.settings import Settings
from dealrec.app.tables.uploads import UploadPartRow, UploadRow
from dealrec.app.uploads.repository import UploadRepository, expired
from dealrec.app.uploads.schemas import UploadCreate
from dealrec.errors import FieldError, InputError


@dataclass(frozen=True)
class WholeFile:
    """A complete upload, as a data set takes it."""

    key: str
    filename: str
    bytes: int


def upload_prefix(tenant_id: str, upload_id: str) -> str:
    """Where an upload's parts and its whole file live."""
    return f"uploads/{tenant_id}/{upload_id}"


def add_upload(
    session: Session, settings: Settings, tenant_id: str, body: UploadCreate
) -> UploadRow:
    """A new upload without parts, whose room is taken from now on.

    Raises :class:`PayloadTooLarge` and :class:`QuotaExceeded`.
    """
    if body.bytes > settings.max_upload_bytes:
        raise PayloadTooLarge(settings.max_upload_bytes)
    require_room(session, tenant_id, body.bytes)
    now = database_now(session)
    row = UploadRow(
        id=new_id("up"),
        tenant_id=tenant_id,
        filename=shown_filename(body.filename),
        bytes=body.bytes,
        sha256=body.sha256,
        part_bytes=settings.upload_part_bytes,
        created_at=now,
        expires_at=now + timedelta(hours=settings.upload_hours),
    )
    session.add(row)
    session.flush()
    return row


def expected_bytes(upload: UploadRow, number: int) -> int:
    """Bytes of part ``number``.

    Raises :class:`Conflict` (``upload_complete``), and :class:`InputError` (``invalid_part``) for a
    number that the upload does not have.
    """
    if upload.key is not None:
        raise Conflict("The upload is complete: it takes no more parts.", code="upload_complete")
    count = -(-upload.bytes // upload.part_bytes)
    if not 1 <= number <= count:
        raise _invalid_part(number, f"the upload has parts 1 to {count}")
    return min(upload.part_bytes, upload.bytes - (number - 1) * upload.part_bytes)


def store_part(
    storage: Storage, tenant_id: str, upload_id: str, number: int, path: Path, expected: int
) -> UploadPartRow:
    """Store a part that lies at ``path``; its row is not added yet.

    Raises :class:`InputError` (``invalid_part``) where it has not ``expected`` bytes.
    """
    size = path.stat().st_size
    if size != expected:
        raise _invalid_part(number, f"has {size:,} bytes, must have {expected:,}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    # A name of its own: of two senders of one part, each row goes with its own bytes.
    key = f"{upload_prefix(tenant_id, upload_id)}/{number}-{token_hex(8)}"
    storage.put_file(key, path)
    return UploadPartRow(upload_id=upload_id, number=number, bytes=size, sha256=digest, key=key)


def add_part(session: Session, tenant_id: str, part: UploadPartRow) -> str | None:
    """Make a stored part count; gives the storage key of the one that it replaces."""
    upload = UploadRepository(session, tenant_id).get(part.upload_id, lock=True)
    expected_bytes(upload, part.number)
    earlier = session.get(UploadPartRow, (part.upload_id, part.number))
    replaced = None if earlier is None else earlier.key
    session.merge(part)
    session.flush()
    return replaced


def require_all_parts(upload: UploadRow, parts: Sequence[UploadPartRow]) -> None:
    """Raises :class:`Conflict` (``upload_incomplete``) with the numbers that are ``missing``."""
    there = {part.number for part in parts}
    count = -(-upload.bytes // upload.part_bytes)
    missing = [number for number in range(1, count + 1) if number not in there]
    if missing:
        raise Conflict(
            f"{len(missing)} of {count} parts have not arrived.",
            code="upload_incomplete",
            missing=missing[:1000],
        )


def assemble(storage: Storage, upload: UploadRow, parts: Sequence[UploadPartRow]) -> WholeFile:
    """Join the parts into one stored file, in bounded memory.

    Raises :class:`InputError` (``upload_damaged``) where bytes or SHA-256 are not as declared; no
    file is left then.
    """
    key = f"{upload_prefix(upload.tenant_id, upload.id)}/whole-{token_hex(8)}"
    digest = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        for part in parts:
            for piece in storage.stream(part.key):
                digest.update(piece)
                yield piece

    try:
        storage.put_stream(key, pieces())
        if storage.size(key) != upload.bytes or upload.sha256 not in (None, digest.hexdigest()):
            raise InputError(
                "The parts do not make the file that was declared; send them again.",
                code="upload_damaged",
                title="The upload is damaged",
                errors=[FieldError("sha256", f"is {digest.hexdigest()}")],
            )
    except BaseException:
        storage.delete_prefix(key)
        raise
    upload.sha256 = digest.hexdigest()
    return WholeFile(key, upload.filename, upload.bytes)


def finish(session: Session, upload: UploadRow, whole: WholeFile) -> tuple[UploadRow, list[str]]:
    """Make ``whole`` the upload's file; gives the row and the storage keys that nobody needs now.

    Where another request was faster, its file counts.
    """
    repository = UploadRepository(session, upload.tenant_id)
    row = repository.get(upload.id, lock=True)
    if row.key is not None:
        return row, [whole.key]
    unneeded = [part.key for part in repository.parts(row)]
    repository.forget_parts(row)
    row.key, row.sha256 = whole.key, upload.sha256
    session.flush()
    return row, unneeded


def whole_file(session: Session, tenant_id: str, upload_id: str, location: str) -> WholeFile:
    """The file of a complete upload.

    Raises :class:`NotFound`, and :class:`Conflict` (``upload_incomplete``).
    """
    row = UploadRepository(session, tenant_id).get(upload_id)
    if row.key is None:
        raise Conflict(f"The upload of `{location}` is not complete.", code="upload_incomplete")
    return WholeFile(row.key, row.filename, row.bytes)


def expire_uploads(database: Database, storage: Storage) -> int:
    """Forget uploads whose time is over, complete or not; gives their number.

    Files go first: what dies half-way is found again. An expired upload takes no parts, so none
    can arrive in between.
    """
    with database.session(write=False) as session:
        found = [(row.tenant_id, row.id) for row in expired(session, database_now(session))]
    for tenant_id, upload_id in found:
        storage.delete_prefix(upload_prefix(tenant_id, upload_id))
        with database.session() as session:
            row = session.get(UploadRow, upload_id)
            if row is not None:
                UploadRepository(session, tenant_id).delete(row)
    return len(found)


def _invalid_part(number: int, message: str) -> InputError:
    return InputError(
        f"Part {number}: {message}.",
        code="invalid_part",
        title="The part cannot be used",
        errors=[FieldError("number", message)],
    )
