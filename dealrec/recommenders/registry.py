"""The recommender that a configuration of fine-tuning trains is imported and made."""

from importlib import import_module
from pathlib import Path

from dealrec.config.finetune import FinetuneConfig
from dealrec.config.recommenders import RECOMMENDERS
from dealrec.data.prompter import ShownTitles
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.recommenders.interface import Recommender


def make_recommender(
    loaded: LoadedLanguageModel,
    finetune: FinetuneConfig,
    trunk: Path | None = None,
    batch_tokens: int = 4096,
    *,
    titles: ShownTitles | None = None,
) -> Recommender:
    """Make the recommender that ``finetune`` trains; arguments as of :class:`Recommender`."""
    kind = recommender_class(finetune.recommender)
    return kind(loaded, finetune, trunk, batch_tokens, titles=titles)


def recommender_class(name: str) -> type[Recommender]:
    """Import the class of the entry ``name`` in :data:`RECOMMENDERS`."""
    module, _, attribute = RECOMMENDERS[name].implementation.partition(":")
    found: type[Recommender] = getattr(import_module(module), attribute)
    return found
