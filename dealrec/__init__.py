"""Data pruning for LLM recommenders: influence, effort, and a coreset that keeps coverage.

Importing this package loads nothing heavy: :func:`prune` is imported when its name is first used.
"""

from typing import TYPE_CHECKING, Any

from dealrec.version import __version__

__all__ = ["PruneConfig", "__version__", "prune"]

if TYPE_CHECKING:
    from dealrec.config import PruneConfig
    from dealrec.pipeline import prune


def __getattr__(name: str) -> Any:
    if name == "prune":
        from dealrec.pipeline import prune

        return prune
    if name == "PruneConfig":
        from dealrec.config import PruneConfig

        return PruneConfig
    raise AttributeError(f"module 'dealrec' has no attribute {name!r}")
