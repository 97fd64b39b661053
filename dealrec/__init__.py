"""Data pruning for LLM recommenders: influence, effort, and a coreset that keeps coverage.

Importing this package loads nothing heavy: :func:`prune`, :func:`compare` and :func:`export` are
imported when their names are first used.
"""

from typing import TYPE_CHECKING, Any

from dealrec.version import __version__

__all__ = ["DataOptions", "PruneConfig", "__version__", "compare", "export", "prune"]

if TYPE_CHECKING:
    from dealrec.config import DataOptions, PruneConfig
    from dealrec.coresets.exports import export
    from dealrec.pipeline import compare, prune


def __getattr__(name: str) -> Any:
    if name in ("compare", "prune"):
        from dealrec import pipeline

        return getattr(pipeline, name)
    if name == "export":
        from dealrec.coresets import exports

        return exports.export
    if name in ("DataOptions", "PruneConfig"):
        from dealrec import config

        return getattr(config, name)
    raise AttributeError(f"module 'dealrec' has no attribute {name!r}")
