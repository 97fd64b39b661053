"""The schemas of data sets over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from dealrec.app.kit.schemas import Body
from dealrec.app.stages.schemas import Progress
from dealrec.app.tables.datasets import DatasetRow, DatasetState, stored_files
from dealrec.app.tables.jobs import StoredProgress
from dealrec.config import (
    DataOptions,
    FinetuneConfig,
    PromptConfig,
    PruneConfig,
    Sampling,
    SplitMethod,
)
from dealrec.config.data import DataKind
from dealrec.config.prompt import PromptFormat
from dealrec.data.preview import ReadText
from dealrec.data.prompts import Role

Several = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=1000)]] | None,
    Field(None, min_length=1, max_length=1000),
]
_SOURCES = {
    "interactions": ("interactions_upload_id", "interactions_upload_ids", "interactions_addresses"),
    "items": ("items_upload_id", "items_upload_ids", "items_addresses"),
    "samples": ("samples_upload_id", "samples_upload_ids", "samples_addresses"),
}  # fmt: skip


class NamedFiles(Body):
    """Files of interactions and of items that are uploads, or at addresses."""

    interactions_upload_id: str | None = Field(None, max_length=40)
    interactions_upload_ids: Several = None
    """Several uploads that form one table, instead of a single upload."""
    interactions_addresses: Several = None
    """Addresses of files and folders instead of uploads, such as ``s3://bucket/events``. The operator
    must allow them (``DEALREC_ALLOWED_ADDRESSES``). They are read when the data set is made, and are not
    kept."""
    items_upload_id: str | None = Field(None, max_length=40)
    items_upload_ids: Several = None
    items_addresses: Several = None
    name: str | None = None
    options: DataOptions | None = None
    """How the files become a data set."""
    columns: dict[str, object] | None = None
    """The option of this name: a map from DEALRec's column names to the file's."""

    def given(self, role: str) -> list[str]:
        """The fields that name files of ``role``."""
        return [name for name in _SOURCES[role] if getattr(self, name, None) is not None]


class DatasetAppend(NamedFiles):
    """A request for a new version of a data set. Only the given files are read.

    The default for the name is that of the version before. ``options`` may say that these files are
    written differently; how their rows are used cannot change.
    """

    @model_validator(mode="after")
    def _some_files(self) -> Self:
        given = [self.given(role) for role in ("interactions", "items")]
        if not any(given) or max(map(len, given)) > 1:
            raise ValueError(
                "needs interactions, items or both, each as one of upload_id, upload_ids and addresses"
            )
        return self


class DatasetCreate(NamedFiles):
    """A request for a data set from uploads, from addresses, or from the files of another data set."""

    samples_upload_id: str | None = Field(None, max_length=40)
    """Samples that are ready texts. With them, interactions may be left out."""
    samples_upload_ids: Several = None
    samples_addresses: Several = None
    source_dataset_id: str | None = Field(None, max_length=40)
    """The data set whose files are read again with other options. A rejected data set keeps its files for
    about a day. Uploads and addresses in the same request replace the files of their kind. For a later
    version, all files that were ever appended are read."""
    split: SplitMethod | None = None
    """The option of this name."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = {role: self.given(role) for role in _SOURCES}
        enough = given["interactions"] or given["samples"] or self.source_dataset_id is not None
        if not enough or max(map(len, given.values())) > 1:
            raise ValueError(
                f"give one of {', '.join(_SOURCES['interactions'])}, and at most one of "
                f"{', '.join(_SOURCES['items'])} and of {', '.join(_SOURCES['samples'])}; with samples or "
                "source_dataset_id the interactions may be left out"
            )
        return self


class DatasetDrift(BaseModel):
    """How far a version has drifted from the one before it. Each figure is between 0 and 1."""

    popularity: float
    """The Jensen-Shannon distance between the distributions of targets, in which newer interactions weigh
    more."""
    new_items: float
    """The share of the items with interactions that had no interactions before."""
    new_item_interactions: float
    """The share of the new interactions that are with such items."""


class Dataset(BaseModel):
    """An uploaded data set; ``counts``, ``report`` and ``sha256`` are null until it is ready."""

    id: str
    object: Literal["dataset"] = "dataset"
    name: str
    state: DatasetState
    created_at: datetime
    kind: DataKind | None = None
    """``texts`` if the samples have no ids of items; null until the data set is ready."""
    sha256: str | None
    split: SplitMethod | None
    options: DataOptions
    """How the files are read."""
    counts: dict[str, int] | None
    report: dict[str, Any] | None
    error: dict[str, Any] | None
    version: int = 1
    """The number of the version: 1, or one more than that of the version to which files were appended."""
    parent_id: str | None = None
    """The version to which files were appended. It may have been deleted."""
    parent_sha256: str | None = None
    """The content hash of that version."""
    drift: DatasetDrift | None = None
    """How far the data have drifted from that version; null in a first version, and in versions stored
    before drift was measured."""
    progress: Progress | None = None
    """The progress of a running validation in bytes; null in lists."""
    files: dict[str, list[str]] = {}
    """The names of the files by kind: ``interactions``, ``items``, ``samples``."""
    same_content: list[str] | None = None
    """The ids of other data sets of the same content, newest first; null in lists."""

    @classmethod
    def of(cls, row: DatasetRow, progress: StoredProgress | None = None) -> Self:
        """Make the schema of a row."""
        told = None if progress is None else Progress.model_validate(progress)
        files = {
            role: [one["filename"] or one.get("address", "") for one in stored_files(file)]
            for role, file in row.uploads.items()
            if file
        }
        shown = cls.model_validate(row, from_attributes=True)
        kind = None if row.report is None else DataKind.of(row.report)
        moved = (row.report or {}).get("drift")
        drift = None if moved is None else DatasetDrift.model_validate(moved)
        return shown.model_copy(
            update={"progress": told, "files": files, "kind": kind, "drift": drift}
        )


class SampleText(BaseModel):
    """A sample as the language model reads it."""

    sample_key: str
    user_id: str
    history: list[str]
    """The ids of the items, oldest first."""
    target: str | None
    """Null, with an empty history, for texts without ids."""
    instruction: str
    input: str
    output: str


class PromptPreviewCreate(Body):
    """A request for samples of a data set in the words of a prompt."""

    prompt: PromptConfig = PromptConfig()
    sampling: Sampling = PruneConfig.model_fields["sampling"].default
    min_history: int = Field(1, ge=1, le=1000)
    model: str = Field(FinetuneConfig.model_fields["model"].default, min_length=1, max_length=200)
    """The language model for which tokens are counted."""
    max_tokens: int = Field(FinetuneConfig.model_fields["max_tokens"].default, ge=16, le=32_768)
    count: int = Field(3, ge=1, le=10)
    """How many samples to show."""


class Turn(BaseModel):
    """One turn of a conversation."""

    role: Role
    content: str


class PreviewedSample(BaseModel):
    """A sample in words, and as the language model reads it."""

    sample_key: str
    messages: list[Turn]
    """The turns; the last one is the answer."""
    read: ReadText | None = None
    """The text as the model reads it, its tokens and what was left out; null if they were not counted."""


class PromptPreview(BaseModel):
    """Samples as a language model reads them."""

    object: Literal["prompt_preview"] = "prompt_preview"
    model: str
    format: PromptFormat
    """``chat`` if the turns are in the model's chat template; ``auto`` if that is not known."""
    samples: list[PreviewedSample]
    """From the one with the longest history to the one with the shortest."""
    not_counted: str | None = None
    """Why tokens were not counted; null if they were."""
