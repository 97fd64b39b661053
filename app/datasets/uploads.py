"""A data set's form: the files that stream to disk and the small fields beside them."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.kit.multipart import Form, UploadedFile
from app.kit.schemas import parse_json
from dealrec.config import SplitMethod
from dealrec.errors import FieldError, InputError

FILES = frozenset({"interactions", "items"})
FIELDS = frozenset({"name", "columns", "split"})
COLUMNS = frozenset({"user_id", "item_id", "timestamp", "position", "split", "rating", "title"})


@dataclass(frozen=True)
class DatasetUpload:
    """A validated form, its files still in the request's folder."""

    interactions: UploadedFile
    items: UploadedFile | None
    name: str
    columns: dict[str, str] | None
    split: SplitMethod | None


def dataset_upload(form: Form) -> DatasetUpload:
    """Judge the form; raises :class:`InputError` (``missing_field``, ``invalid_columns``, …)."""
    interactions = form.files.get("interactions")
    if interactions is None:
        raise InputError(
            "The form has no file `interactions`.",
            code="missing_field",
            title="A file is missing",
            errors=[FieldError("interactions", "required")],
        )
    return DatasetUpload(
        interactions=interactions,
        items=form.files.get("items"),
        name=_name(form.fields.get("name"), interactions),
        columns=_columns(form.fields.get("columns")),
        split=_split(form.fields.get("split")),
    )


def _name(given: str | None, interactions: UploadedFile) -> str:
    if given is None:
        return interactions.filename.split(".", 1)[0][:200] or "dataset"
    if not 1 <= len(given.strip()) <= 200:
        raise InputError(
            "A name has 1 to 200 characters.",
            code="invalid_name",
            title="The name cannot be used",
            errors=[FieldError("name", "1 to 200 characters")],
        )
    return given.strip()


def _columns(text: str | None) -> dict[str, str] | None:
    if not text:
        return None
    columns = parse_json(text, "columns")
    errors = []
    if not isinstance(columns, Mapping):
        errors.append(FieldError("columns", "must be an object of our names to the file's"))
    else:
        for ours, theirs in columns.items():
            if ours not in COLUMNS:
                errors.append(
                    FieldError(f"columns.{ours[:60]}", f"known are {', '.join(sorted(COLUMNS))}")
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
            f"There is no such split; known are {known}.",
            code="invalid_split",
            title="The split cannot be used",
            errors=[FieldError("split", f"one of {known}")],
        ) from None
