"""Queries over coresets."""

from dealrec.app.coresets.models import CoresetRow
from dealrec.app.kit.repository import TenantRepository


class CoresetRepository(TenantRepository[CoresetRow]):
    """A tenant's coresets."""

    model = CoresetRow
    noun = "coreset"
