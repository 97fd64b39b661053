"""Makes surrogates by catalogue name or import path."""

from importlib import import_module
from typing import TYPE_CHECKING

from dealrec.config import SurrogateConfig
from dealrec.config.surrogate import SURROGATES
from dealrec.errors import FieldError, InputError

if TYPE_CHECKING:
    from dealrec.surrogates.interface import Surrogate


def make_surrogate(n_items: int, config: SurrogateConfig) -> "Surrogate":
    """Make a model initialised from torch's global random state.

    Raises:
        InputError: ``invalid_config`` if the import path does not lead to a surrogate.
    """
    return surrogate_class(config.model)(n_items, config)


def surrogate_class(model: str) -> "type[Surrogate]":
    """Return the class of ``model``, a catalogue name or an import path ``package.module:Class``.

    Raises:
        InputError: ``invalid_config`` if the import path does not lead to a surrogate.
    """
    from dealrec.surrogates.interface import Surrogate

    entry = SURROGATES.get(model)
    module, _, name = (entry.implementation if entry else model).partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise _unusable(model, str(error)) from error
    if not (isinstance(found, type) and issubclass(found, Surrogate)):
        raise _unusable(model, "it is not a subclass of dealrec.surrogates.interface.Surrogate")
    return found


def _unusable(model: str, reason: str) -> InputError:
    return InputError(
        f"The surrogate {model!r} cannot be used: {reason}.",
        code="invalid_config",
        title="The configuration cannot be used",
        errors=[FieldError("config.surrogate.model", reason)],
    )
