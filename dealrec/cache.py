"""The folder of things that can be made or fetched again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """``DEALREC_CACHE_DIR``, or ``~/.cache/dealrec``."""
    return Path(os.environ.get("DEALREC_CACHE_DIR") or "~/.cache/dealrec").expanduser()
