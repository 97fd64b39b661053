"""A marker that must turn up nowhere, and a surrogate that lets it slip in an exception."""

from typing import Any

from dealrec.surrogates.sasrec import SASRec

MARKER = "-".join(["canary", "7f3a9c"])
"""Put together here, so that no line of source in a traceback is it."""


class Telling(SASRec):
    """Fails as a library would that quotes what it was given."""

    def item_vectors(self) -> Any:
        raise ValueError(MARKER)
