"""The rules of uploads: the sizes of parts, their assembly, and expiry."""

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
from dealrec.disk import file_sha256
from dealrec.errors import FieldError, InputError


@dataclass(frozen=True)
class WholeFile:
    """The file of a complete upload, from which a data set can be made."""

    key: str
    filename: str
    bytes: int


def upload_prefix(tenant_id: str, upload_id: str) -> str:
    """Return the storage prefix of an upload's parts and its whole file."""
    return f"uploads/{tenant_id}/{upload_id}"


def add_upload(
    session: Session, settings: Settings, tenant_id: str, body: UploadCreate
) -> UploadRow:
    """Add an upload without parts; its declared bytes count against the quota from now on.

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
    """Return the bytes of part ``number``.

    Raises :class:`Conflict` (``upload_complete``), and :class:`InputError` (``invalid_part``) for a
    number that the upload does not have.
    """
    if upload.key is not None:
        raise Conflict("The upload is complete and accepts no more parts.", code="upload_complete")
    count = -(-upload.bytes // upload.part_bytes)
    if not 1 <= number <= count:
        raise _invalid_part(number, f"the upload has parts 1 to {count}")
    return min(upload.part_bytes, upload.bytes - (number - 1) * upload.part_bytes)


def store_part(
    storage: Storage, tenant_id: str, upload_id: str, number: int, path: Path, expected: int
) -> UploadPartRow:
    """Store the part at ``path``; its row is not added yet.

    Raises :class:`InputError` (``invalid_part``) if it does not have ``expected`` bytes.
    """
    size = path.stat().st_size
    if size != expected:
        raise _invalid_part(number, f"has {size:,} bytes, must have {expected:,}")
    # A random name keeps each row with its own bytes if two clients send the same part.
    key = f"{upload_prefix(tenant_id, upload_id)}/{number}-{token_hex(8)}"
    storage.put_file(key, path)
    return UploadPartRow(
        upload_id=upload_id, number=number, bytes=size, sha256=file_sha256(path), key=key
    )


def add_part(session: Session, tenant_id: str, part: UploadPartRow) -> str | None:
    """Add the row of a stored part, and return the storage key of the part that it replaces."""
    upload = UploadRepository(session, tenant_id).get(part.upload_id, lock=True)
    expected_bytes(upload, part.number)
    earlier = session.get(UploadPartRow, (part.upload_id, part.number))
    replaced = None if earlier is None else earlier.key
    session.merge(part)
    session.flush()
    return replaced


def require_all_parts(upload: UploadRow, parts: Sequence[UploadPartRow]) -> None:
    """Raise :class:`Conflict` (``upload_incomplete``) with the numbers of ``missing`` parts."""
    there = {part.number for part in parts}
    count = -(-upload.bytes // upload.part_bytes)
    missing = [number for number in range(1, count + 1) if number not in there]
    if missing:
        raise Conflict(
            f"{len(missing)} of {count} parts are missing. Send them first.",
            code="upload_incomplete",
            missing=missing[:1000],
        )


def assemble(storage: Storage, upload: UploadRow, parts: Sequence[UploadPartRow]) -> WholeFile:
    """Join the parts into one stored file, in bounded memory.

    Raises :class:`InputError` (``upload_damaged``) if bytes or SHA-256 differ from the declared
    ones; no file is left then.
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
                "The parts do not add up to the file that was announced. Send them again.",
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
    """Make ``whole`` the upload's file; return the row and the storage keys that are not needed now.

    If another request was faster, its file stays.
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
    """Return the file of a complete upload.

    Raises :class:`NotFound`, and :class:`Conflict` (``upload_incomplete``).
    """
    row = UploadRepository(session, tenant_id).get(upload_id)
    if row.key is None:
        raise Conflict(
            f"The upload in `{location}` is not complete. Send its missing parts and complete it first.",
            code="upload_incomplete",
        )
    return WholeFile(row.key, row.filename, row.bytes)


def expire_uploads(database: Database, storage: Storage) -> int:
    """Delete expired uploads, and return their number.

    Files are deleted first, so that an interrupted deletion is found again. An expired upload
    accepts no parts, so none can arrive in between.
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
