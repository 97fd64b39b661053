"""Queries over coresets."""

from app.coresets.models import CoresetRow
from app.kit.repository import TenantRepository


class CoresetRepository(TenantRepository[CoresetRow]):
    """A tenant's coresets."""

    model = CoresetRow
    noun = "coreset"
