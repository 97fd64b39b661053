"""Queries over adapters."""

from dealrec.app.kit.repository import TenantRepository
from dealrec.app.tables.adapters import AdapterRow


class AdapterRepository(TenantRepository[AdapterRow]):
    """A tenant's adapters."""

    model = AdapterRow
    noun = "adapter"
