"""The schemas of language models over HTTP."""

from typing import Literal, Self

from pydantic import BaseModel, Field

from dealrec.app.kit.schemas import Body
from dealrec.config.catalogue import Measured
from dealrec.config.language_models import located, measurements, revision_of
from dealrec.config.model_entry import (
    COMMIT,
    NAME,
    REPOSITORY,
    Attention,
    Dtype,
    LanguageModel,
    PromptFormat,
    Quantization,
)
from dealrec.config.model_files import ModelFacts, UnusableFiles


class LanguageModelCreate(Body):
    """A repository on the Hugging Face Hub that becomes a language model of the caller's tenant."""

    name: str = Field(max_length=40, pattern=f"^{NAME}$")
    repository: str = Field(max_length=200, pattern=f"^{REPOSITORY}$")
    revision: str = Field(pattern=f"^{COMMIT}$")
    """The commit. A branch is not enough, because it can change."""
    file: str | None = Field(None, max_length=200, pattern=r"^[\w][\w.-]*\.gguf$")
    """A GGUF file in the repository; null: its weights in safetensors."""
    dtype: Dtype | None = None
    attention: Attention = "auto"
    quantization: Quantization = "none"
    target_modules: tuple[str, ...] = Field(("auto",), min_length=1, max_length=32)
    prompt_format: PromptFormat = "auto"
    max_tokens: int | None = Field(None, ge=16, le=1_000_000)
    licence: str | None = Field(None, max_length=200)

    def entry(self, tenant_id: str) -> LanguageModel:
        """Make the entry of the catalogue, which the tenant alone sees."""
        return LanguageModel(**self.model_dump(), tenants=(tenant_id,))


class LanguageModelEntry(BaseModel):
    """A language model that the caller may use."""

    name: str
    object: Literal["model"] = "model"
    parameters: int
    """0 until its files are on this machine."""
    architecture: str
    """The family of the model; ``unknown`` until its files are on this machine."""
    licence: str
    revision: str
    """The commit, the version of the package, or the SHA-256 of the files; empty until these are on this
    machine."""
    available: bool
    """Whether the model's files are on the machine that answers."""
    state: Literal["ready", "not_pulled", "unusable"]
    """``not_pulled``: the files of the repository have not all been downloaded yet (`dealrec models
    pull`) to the machine that answers. ``unusable``: the files are missing or broken."""
    reason: str | None
    """Why the model cannot be used."""
    bytes: int | None
    """The size of the weights on disk."""
    source: Literal["repository", "folder", "gguf", "package"]
    repository: str | None
    dtype: Dtype | None
    attention: Attention
    quantization: Quantization
    target_modules: list[str]
    prompt_format: PromptFormat
    max_tokens: int | None
    measured: list[Measured]
    """The time and memory that ``dealrec models check`` measured, one entry for each kind of device."""

    @property
    def id(self) -> str:
        """The id in the audit trail."""
        return self.name

    @classmethod
    def of(cls, entry: LanguageModel) -> Self:
        """Describe an entry of the catalogue and its files on this machine."""
        facts, reason = _facts(entry)
        return cls(
            **entry.model_dump(
                include={
                    *("name", "repository", "dtype", "attention", "quantization"),
                    *("target_modules", "prompt_format", "max_tokens"),
                }
            ),
            parameters=facts.parameters if facts else 0,
            architecture=(facts and facts.family) or "unknown",
            licence=entry.licence or "unknown",
            revision=revision_of(entry) or "",
            available=facts is not None,
            state=_state(entry, facts),
            reason=reason,
            bytes=facts and facts.bytes,
            source=entry.source,
            measured=measurements(entry.name),
        )


class LanguageModels(BaseModel):
    """All language models that the caller may use."""

    data: list[LanguageModelEntry]


def _state(
    entry: LanguageModel, facts: ModelFacts | None
) -> Literal["ready", "not_pulled", "unusable"]:
    if facts is not None:
        return "ready"
    return "unusable" if entry.repository is None else "not_pulled"


def _facts(entry: LanguageModel) -> tuple[ModelFacts | None, str | None]:
    try:
        return located(entry).facts(), None
    except UnusableFiles as error:
        return None, str(error)
