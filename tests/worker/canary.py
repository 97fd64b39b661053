"""A marker that must turn up nowhere, and a surrogate that lets it slip in an exception."""

from typing import Any

from dealrec.surrogates.sasrec import SASRec

MARKER = "-".join(["canary", "7f3a9c"])
"""The marker is put together here, so that no line of source in a traceback shows it."""


class Telling(SASRec):
    """Raise as a library would that quotes its input."""

    def item_vectors(self) -> Any:
        raise ValueError(MARKER)
