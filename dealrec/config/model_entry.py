"""An entry of the catalogue of language models: where the files are, and how they are used."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from dealrec.config.base import Config

AUTO = "auto"
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*"
"""The names that an entry may have; none of them is a path, a hub id or another place."""
REPOSITORY = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
COMMIT = r"[0-9a-f]{40}"
_SOURCES = ("repository", "folder", "gguf", "package")

Dtype = Literal["float32", "bfloat16"]
Attention = Literal["auto", "eager", "sdpa", "flash_attention_2"]
Quantization = Literal["none", "nf4", "int8"]
PromptFormat = Literal["auto", "plain", "chat"]
Tenant = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class ModelOptions(Config):
    """How a language model is used where a job does not say otherwise."""

    dtype: Dtype | None = None
    """The default of ``dtype`` in jobs with this model; unset: ``float32``."""
    attention: Attention = "auto"
    """The implementation of attention; ``auto`` leaves it to transformers."""
    quantization: Quantization = "none"
    """The default of ``finetune.quantization`` in jobs with this model."""
    target_modules: tuple[str, ...] = Field((AUTO,), min_length=1, max_length=32)
    """The layers that ``auto`` in ``finetune.lora.target_modules`` stands for."""
    prompt_format: PromptFormat = "auto"
    """The default of ``prompt.format`` in jobs with this model."""
    max_tokens: int | None = Field(None, ge=16, le=1_000_000)
    """The longest text that the model is given, in tokens; unset: what its own configuration says."""
    licence: str | None = Field(None, max_length=200)
    """The name of its licence, such as ``apache-2.0``."""
    tenants: tuple[Tenant, ...] | None = Field(None, max_length=1000)
    """The tenants that can see and use the model; unset: all."""


class LanguageModel(ModelOptions):
    """A language model under a name: one source, and how it is used.

    Weights are read from safetensors or GGUF alone, and code from a model's files is never run.
    """

    name: str = Field(max_length=40, pattern=f"^{NAME}$")
    repository: str | None = Field(None, max_length=200, pattern=f"^{REPOSITORY}$")
    """A repository on the Hugging Face hub, with ``revision``."""
    file: str | None = Field(None, max_length=200, pattern=r"^[\w][\w.-]*\.gguf$")
    """The GGUF file in the repository; unset: its weights in safetensors."""
    folder: Path | None = None
    """A folder with a model in safetensors and its tokenizer."""
    gguf: Path | None = None
    """A GGUF file."""
    package: str | None = Field(None, max_length=200, pattern=r"^[A-Za-z0-9][\w.-]*$")
    """An installed Python distribution with a GGUF file, whole or in parts, or a folder of safetensors.

    The parts may be in distributions that it requires."""
    revision: str | None = Field(None, max_length=64)
    """The commit of the repository, or the version of the package."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"must name exactly one of {', '.join(_SOURCES)}, not {' and '.join(given) or 'none'}"
            )
        if self.repository is not None and not _is_commit(self.revision):
            raise ValueError(
                "a repository needs `revision`, the 40 hexadecimal digits of a commit; a branch can change"
            )
        if self.package is not None and self.revision is None:
            raise ValueError("a package needs `revision`, its version")
        if self.revision is not None and (self.folder or self.gguf):
            raise ValueError(
                "`revision` is for a repository or a package only; local files are identified by "
                "their content"
            )
        if self.file is not None and self.repository is None:
            raise ValueError("`file` is for a repository only; it names one of its GGUF files")
        return self

    @property
    def source(self) -> str:
        """The kind of source: ``repository``, ``folder``, ``gguf`` or ``package``."""
        return next(name for name in _SOURCES if getattr(self, name) is not None)

    @property
    def may_be_gguf(self) -> bool:
        """Whether its source is a GGUF file, or a package, which mostly has one."""
        return bool(self.gguf or self.file or self.package)

    def allows(self, tenant: str) -> bool:
        """Whether the tenant may use the model."""
        return self.tenants is None or tenant in self.tenants

    def decisive(self) -> dict[str, object]:
        """The settings that change results and are in neither revision nor job options, as JSON."""
        named = {"attention", "max_tokens", "prompt_format", "file", "package"}
        return self.model_dump(mode="json", include=named, exclude_defaults=True)


def _is_commit(revision: str | None) -> bool:
    return revision is not None and len(revision) == 40 and set(revision) <= set("0123456789abcdef")
