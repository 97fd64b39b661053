"""The registry of recommenders, and the one that a configuration of fine-tuning trains."""

from importlib import import_module
from pathlib import Path

from dealrec.config.finetune import FinetuneConfig
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.recommenders.interface import Recommender

BIGREC = "bigrec"
RECOMMENDERS = {
    BIGREC: "dealrec.recommenders.bigrec:BigRec",
}
"""Import strings of the classes by name, so that one can be made without importing the others."""


def make_recommender(
    loaded: LoadedLanguageModel,
    finetune: FinetuneConfig,
    trunk: Path | None = None,
    batch_tokens: int = 4096,
) -> Recommender:
    """Make the recommender that ``finetune`` trains; arguments as of :class:`Recommender`."""
    return recommender_class(BIGREC)(loaded, finetune, trunk, batch_tokens)


def recommender_class(name: str) -> type[Recommender]:
    """Import the class with the ``name`` in :data:`RECOMMENDERS`."""
    module, _, attribute = RECOMMENDERS[name].partition(":")
    found: type[Recommender] = getattr(import_module(module), attribute)
    return found
