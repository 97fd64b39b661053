"""Queries over adapters."""

from app.adapters.models import AdapterRow
from app.kit.repository import TenantRepository


class AdapterRepository(TenantRepository[AdapterRow]):
    """A tenant's adapters."""

    model = AdapterRow
    noun = "adapter"
