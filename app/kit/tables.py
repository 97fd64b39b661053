"""All tables, for those who need the whole schema at once."""

from importlib import import_module

_AREAS = ("keys", "audit", "datasets", "jobs", "coresets", "adapters", "uploads", "kit.idempotency")


def import_tables() -> None:
    """Make every table known to ``Base.metadata``."""
    for area in _AREAS:
        import_module(f"dealrec.app.{area}.models")
