"""Requests for data sets: files of a form or uploads, and the small fields beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dealrec.app.datasets.addresses import AddressedFile
from dealrec.app.datasets.schemas import DatasetAppend, DatasetCreate
from dealrec.app.kit.errors import NotFound
from dealrec.app.kit.multipart import Form, UploadedFile
from dealrec.app.kit.schemas import parse_json
from dealrec.app.uploads.service import WholeFile
from dealrec.config import Column, DataOptions, SplitMethod, data_options
from dealrec.errors import FieldError, InputError

ROLES = ("interactions", "items", "samples")
FILES = frozenset(ROLES)
_LONGEST_ID = 40
FIELDS = frozenset({"name", "options", "columns", "split"})
APPENDED = frozenset({"interactions", "items"})
"""The files that can be appended."""
SOURCE = "source_dataset_id"


SourceFile = UploadedFile | WholeFile | AddressedFile
"""A file for a data set: a file of the form, a complete upload, or one that is elsewhere."""


@dataclass(frozen=True)
class DatasetUpload:
    """A validated request; its files are in the request's folder, uploads, or elsewhere."""

    files: Mapping[str, Sequence[SourceFile]]
    """The files by role, for those of :data:`ROLES` that have some."""
    name: str
    options: DataOptions
    renamed: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    """By role, for each file: the names that some of its columns have in the table, by those in the file."""


def dataset_upload(form: Form) -> DatasetUpload:
    """Validate the form; raises :class:`InputError` (``missing_field``, ``invalid_columns``, …)."""
    if not form.files.keys() & {"interactions", "samples"}:
        raise InputError(
            "The form has neither a file `interactions` nor a file `samples`. Add one of them.",
            code="missing_field",
            title="A file is missing",
            errors=[FieldError("interactions", "is required unless there are samples")],
        )
    files = whole_files(form)
    return DatasetUpload(
        files=files,
        name=_name(form.fields.get("name"), files),
        options=data_options(
            _options(form.fields.get("options")),
            columns=_columns_field(form.fields.get("columns")),
            split=_split(form.fields.get("split")),
            location="options",
        ),
    )


@dataclass(frozen=True)
class Append:
    """A validated request to append files."""

    files: Mapping[str, Sequence[SourceFile]]
    name: str | None
    asked: DataOptions
    """How the files are read, where that differs from those before."""


def append_from_form(form: Form) -> Append:
    """Validate the form; raises :class:`InputError` (``missing_field``, ``invalid_columns``, …)."""
    if not form.files:
        raise InputError(
            "The form has no file to append. Add a file `interactions`, `items`, or both.",
            code="missing_field",
            title="A file is missing",
            errors=[FieldError("interactions", "is required unless there are items")],
        )
    columns = _columns_field(form.fields.get("columns"))
    asked = data_options(_options(form.fields.get("options")), columns=columns, location="options")
    name = form.fields.get("name")
    return Append(whole_files(form), None if name is None else _checked_name(name), asked)


def append_from_files(body: DatasetAppend, files: Mapping[str, Sequence[SourceFile]]) -> Append:
    """Validate a request that names its files; raises :class:`InputError`."""
    columns = None if body.columns is None else _columns(body.columns)
    asked = data_options(body.options, columns=columns, location="options")
    return Append(files, None if body.name is None else _checked_name(body.name), asked)


def whole_files(form: Form) -> dict[str, Sequence[SourceFile]]:
    """The files of the form by role; raises :class:`InputError` (``empty_file``) for a role of nothing."""
    for role in ROLES:
        files = form.files.get(role, [])
        if files and not any(file.bytes for file in files):
            named = ", ".join(file.filename for file in files)
            raise InputError(
                f"The file is empty: {named}.",
                code="empty_file",
                title="The file is empty",
                errors=[FieldError(role, f"is empty: {named}")],
            )
    return {role: form.files[role] for role in ROLES if role in form.files}


def form_of_source(form: Form) -> DatasetCreate | None:
    """The request of a form that names another data set's files; ``None`` if it names none.

    Raises :class:`InputError` like :func:`dataset_upload`, and :class:`NotFound`.
    """
    source = form.fields.get(SOURCE)
    if source is None:
        return None
    if not 1 <= len(source) <= _LONGEST_ID:
        raise NotFound.of("data set", source)
    options, columns = form.fields.get("options"), form.fields.get("columns")
    given = {
        "name": form.fields.get("name"),
        "options": _options(options),
        "columns": _columns_field(columns),
        "split": _split(form.fields.get("split")),
    }
    asked = {name: value for name, value in given.items() if value is not None}
    return DatasetCreate(source_dataset_id=source, **asked)


def upload_from_files(
    body: DatasetCreate, files: Mapping[str, Sequence[SourceFile]]
) -> DatasetUpload:
    """Validate a request that names its files; raises :class:`InputError` like :func:`dataset_upload`."""
    return DatasetUpload(
        files=files,
        name=_name(body.name, files),
        options=data_options(
            body.options,
            columns=None if body.columns is None else _columns(body.columns),
            split=body.split,
            location="options",
        ),
    )


def _name(given: str | None, files: Mapping[str, Sequence[SourceFile]]) -> str:
    if given is None:
        named = files.get("interactions") or files["samples"]
        last = named[0].filename.rsplit("/", 1)[-1]
        return last.split(".", 1)[0][:200] or "dataset"
    return _checked_name(given)


def _checked_name(given: str) -> str:
    if not 1 <= len(given.strip()) <= 200:
        raise InputError(
            "A name has 1 to 200 characters.",
            code="invalid_name",
            title="The name cannot be used",
            errors=[FieldError("name", "must have 1 to 200 characters")],
        )
    return given.strip()


def _options(text: str | None) -> DataOptions | None:
    return DataOptions.parse(parse_json(text, "options"), location="options") if text else None


def _columns_field(text: str | None) -> dict[str, str] | None:
    return _columns(parse_json(text, "columns")) if text else None


def _columns(columns: Any) -> dict[str, str]:
    errors = []
    if not isinstance(columns, Mapping):
        errors.append(
            FieldError(
                "columns", "must be an object that maps DEALRec's column names to the file's"
            )
        )
    else:
        for ours, theirs in columns.items():
            if ours not in set(Column):
                errors.append(
                    FieldError(
                        f"columns.{ours[:60]}", f"must be one of {', '.join(sorted(Column))}"
                    )
                )
            elif not isinstance(theirs, str) or not 1 <= len(theirs) <= 500:
                errors.append(FieldError(f"columns.{ours}", "must be the name of a column"))
    if errors:
        raise InputError(
            "The column map cannot be used.",
            code="invalid_columns",
            title="The column map cannot be used",
            errors=errors,
        )
    return dict(columns)


def _split(text: str | None) -> SplitMethod | None:
    if not text:
        return None
    try:
        return SplitMethod(text)
    except ValueError:
        known = ", ".join(SplitMethod)
        raise InputError(
            f"There is no such split. It must be one of {known}.",
            code="invalid_split",
            title="The split cannot be used",
            errors=[FieldError("split", f"must be one of {known}")],
        ) from None
