"""The schemas of data sets over HTTP."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from dealrec.app.kit.schemas import Body
from dealrec.app.stages.schemas import Progress
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import StoredProgress
from dealrec.config import DataOptions, SplitMethod


class DatasetCreate(Body):
    """A request for a data set from files that the server has: uploads, or those of another data set."""

    interactions_upload_id: str | None = Field(None, max_length=40)
    items_upload_id: str | None = Field(None, max_length=40)
    source_dataset_id: str | None = Field(None, max_length=40)
    """The data set whose files are read again with other options; one that was rejected keeps its files
    for a day or so. It takes the place of both uploads."""
    name: str | None = None
    options: DataOptions | None = None
    """How the files become a data set."""
    columns: dict[str, object] | None = None
    """The option of this name: a map from our column names to the file's."""
    split: SplitMethod | None = None
    """The option of this name."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        uploads = self.interactions_upload_id is not None or self.items_upload_id is not None
        if uploads == (self.source_dataset_id is not None) or (
            uploads and self.interactions_upload_id is None
        ):
            raise ValueError("give interactions_upload_id, or source_dataset_id and no upload")
        return self


class Dataset(BaseModel):
    """An uploaded data set; ``counts``, ``report`` and ``sha256`` are null until it is ready."""

    id: str
    object: Literal["dataset"] = "dataset"
    name: str
    state: DatasetState
    created_at: datetime
    sha256: str | None
    split: SplitMethod | None
    options: DataOptions
    """How the files are read."""
    counts: dict[str, int] | None
    report: dict[str, Any] | None
    error: dict[str, Any] | None
    progress: Progress | None = None
    """The progress of a running validation in bytes; null in lists."""

    @classmethod
    def of(cls, row: DatasetRow, progress: StoredProgress | None = None) -> Self:
        """Make the schema of a row."""
        told = None if progress is None else Progress.model_validate(progress)
        return cls.model_validate(row, from_attributes=True).model_copy(update={"progress": told})


class SampleText(BaseModel):
    """A sample as the language model reads it."""

    sample_key: str
    user_id: str
    history: list[str]
    """The ids of the items, oldest first."""
    target: str
    instruction: str
    input: str
    output: str
