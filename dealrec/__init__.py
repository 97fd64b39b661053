"""Data pruning for LLM recommenders: influence, effort, and a coreset that keeps coverage.

Importing this package loads nothing heavy: :func:`prune` and :func:`compare` are imported when their
names are first used.
"""

from typing import TYPE_CHECKING, Any

from dealrec.version import __version__

__all__ = ["PruneConfig", "__version__", "compare", "prune"]

if TYPE_CHECKING:
    from dealrec.config import PruneConfig
    from dealrec.pipeline import compare, prune


def __getattr__(name: str) -> Any:
    if name in ("compare", "prune"):
        from dealrec import pipeline

        return getattr(pipeline, name)
    if name == "PruneConfig":
        from dealrec.config import PruneConfig

        return PruneConfig
    raise AttributeError(f"module 'dealrec' has no attribute {name!r}")
