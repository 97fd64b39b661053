"""From a surrogate's name or import path to a model."""

from importlib import import_module
from typing import TYPE_CHECKING

from dealrec.config import SurrogateConfig
from dealrec.config.surrogate import SURROGATES
from dealrec.errors import FieldError, InputError

if TYPE_CHECKING:
    from dealrec.surrogates.interface import Surrogate


def make_surrogate(n_items: int, config: SurrogateConfig) -> "Surrogate":
    """A freshly initialised model, from torch's global random state.

    Raises :class:`InputError` (``invalid_config``) where an import path leads to no surrogate.
    """
    return surrogate_class(config.model)(n_items, config)


def surrogate_class(model: str) -> "type[Surrogate]":
    """The class that ``model`` (a name of the catalogue, or ``package.module:Class``) stands for."""
    from dealrec.surrogates.interface import Surrogate

    entry = SURROGATES.get(model)
    module, _, name = (entry.implementation if entry else model).partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise _unusable(model, str(error)) from error
    if not (isinstance(found, type) and issubclass(found, Surrogate)):
        raise _unusable(model, "it is not a dealrec.surrogates.interface.Surrogate")
    return found


def _unusable(model: str, reason: str) -> InputError:
    return InputError(
        f"The surrogate {model!r} cannot be used: {reason}.",
        code="invalid_config",
        title="The configuration cannot be used",
        errors=[FieldError("config.surrogate.model", reason)],
    )
