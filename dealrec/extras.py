"""The optional parts of the distribution, as its metadata lists them."""

import re
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, requires

from dealrec.errors import DealrecError

_NAME = "dealrec"
_SHOWN = 3
"""How many missing packages a message names."""


class Extra(StrEnum):
    """A part that is installed by its name: ``pip install 'dealrec[service]'``."""

    CLIENT = "client"
    LIBRARY = "library"
    SERVICE = "service"
    WORKER = "worker"
    MLFLOW = "mlflow"
    TENSORBOARD = "tensorboard"
    WANDB = "wandb"
    OTEL = "otel"
    ALL = "all"

    @property
    def pip(self) -> str:
        """The command that installs it."""
        return f"pip install '{_NAME}[{self}]'"


class NotInstalled(DealrecError):
    """A command needs a part of the distribution that was not installed (exit status 2)."""

    code = "not_installed"
    title = "A part of DEALRec is not installed"


@cache
def missing(extra: str) -> tuple[str, ...]:
    """The names of the packages that the extra asks for and that are not installed.

    Versions are not compared: whoever installs other versions may know better.
    """
    return tuple(sorted({name for name in _packages(extra) if not _installed(name)}))


def require(extra: Extra) -> None:
    """Raise :class:`NotInstalled` with the command that helps where packages are missing."""
    if names := missing(extra):
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        listed = ", ".join(names[:_SHOWN]) + more
        raise NotInstalled(
            f"These packages are not installed: {listed}. Install them with `{extra.pip}`."
        )


def _packages(extra: str) -> list[str]:
    """Every package that the extra names, those of the extras in it included."""
    names = []
    for text in requires(_NAME) or ():
        requirement, _, marker = text.partition(";")
        if extra not in re.findall(r"extra == ['\"]([\w-]+)['\"]", marker):
            continue
        name, inner = re.findall(r"^([\w.-]+)(?:\[([^]]*)])?", requirement)[0]
        if name == _NAME:
            names += [found for part in inner.split(",") for found in _packages(part.strip())]
        else:
            names.append(name)
    return names


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
