"""The folder for files that can be computed or downloaded again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder in ``DEALREC_CACHE_DIR``, or ``~/.cache/dealrec`` if it is not set."""
    return Path(os.environ.get("DEALREC_CACHE_DIR") or "~/.cache/dealrec").expanduser()
