"""Queries over coresets."""

from dealrec.app.kit.repository import TenantRepository
from dealrec.app.tables.coresets import CoresetRow


class CoresetRepository(TenantRepository[CoresetRow]):
    """A tenant's coresets."""

    model = CoresetRow
    noun = "coreset"
