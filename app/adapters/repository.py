"""Queries over adapters."""

from dealrec.app.adapters.models import AdapterRow
from dealrec.app.kit.repository import TenantRepository


class AdapterRepository(TenantRepository[AdapterRow]):
    """A tenant's adapters."""

    model = AdapterRow
    noun = "adapter"
