"""The SQLAlchemy tables, one file an area; importing the package makes all of them known."""

from dealrec.app.tables import (  # noqa: F401
    adapters,
    audit,
    coresets,
    datasets,
    idempotency,
    jobs,
    keys,
    schedules,
    uploads,
    webhooks,
)
