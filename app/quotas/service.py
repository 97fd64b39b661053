"""The rules of quotas, checked in the transaction of the effect under the tenant's lock.

Two concurrent requests therefore cannot both use the last part of a quota.
"""

from collections.abc import Callable, Mapping

from sqlalchemy.orm import Session

from dealrec.app.kit.database import settings_of
from dealrec.app.kit.errors import Conflict, NotFound, QuotaExceeded
from dealrec.app.quotas import repository
from dealrec.app.quotas.schemas import Quota, QuotaUse
from dealrec.app.tables.keys import Tenant

_MORE = "The operator of the server can raise the quota with `dealrec tenants set`."


def require_room(session: Session, tenant_id: str, adding: int) -> None:
    """Raise :class:`QuotaExceeded` if the tenant may not store ``adding`` more bytes."""
    limit = _limit(session, tenant_id, Quota.STORED_BYTES)
    if limit is None:
        return
    repository.lock_tenant(session, tenant_id)
    used = repository.stored_bytes(session, tenant_id)
    if used + adding > limit:
        raise QuotaExceeded(
            f"{used:,} of {limit:,.0f} bytes are used, and {adding:,} more are needed. Delete what "
            f"you no longer need (data sets, jobs, coresets, adapters, uploads). {_MORE}",
            quota=Quota.STORED_BYTES.value,
            limit=limit,
            used=used,
        )


def require_fewer(
    session: Session, tenant_id: str, count: Callable[[], int], most: int, things: str
) -> None:
    """Raise :class:`Conflict` (``too_many_…``) if the tenant already has ``most`` of the ``things``."""
    repository.lock_tenant(session, tenant_id)
    if count() >= most:
        raise Conflict(
            f"This tenant already has {most} {things}, which is the limit. Delete one that is no longer "
            "needed.",
            code=f"too_many_{things}",
        )


def require_open_job(session: Session, tenant_id: str) -> None:
    """Raise :class:`QuotaExceeded` if the tenant may not open another job or use more GPU time."""
    require_gpu_time(session, tenant_id)
    limit = _limit(session, tenant_id, Quota.OPEN_JOBS)
    if limit is None:
        return
    repository.lock_tenant(session, tenant_id)
    used = repository.open_jobs(session, tenant_id)
    if used + 1 > limit:
        raise QuotaExceeded(
            f"Open jobs: {used} of {limit:,.0f} allowed at once. Wait until one ends, or cancel one. {_MORE}",
            quota=Quota.OPEN_JOBS.value,
            limit=limit,
            used=used,
            waiting_helps=True,
        )


def require_gpu_time(session: Session, tenant_id: str) -> None:
    """Raise :class:`QuotaExceeded` if the tenant's GPU seconds are used up."""
    limit = _limit(session, tenant_id, Quota.GPU_SECONDS)
    if limit is None:
        return
    days = settings_of(session).quota_gpu_days
    used = repository.gpu_seconds(session, tenant_id, days)
    if used >= limit:
        raise QuotaExceeded(
            f"{used:,.0f} of {limit:,.0f} GPU seconds in {days:g} days are used. Wait until some of "
            f"this use is more than {days:g} days old. {_MORE}",
            quota=Quota.GPU_SECONDS.value,
            limit=limit,
            used=used,
        )


def uses(session: Session, tenant_id: str) -> list[QuotaUse]:
    """Return every quota of the tenant and how much of it is used."""
    used = {
        Quota.STORED_BYTES: repository.stored_bytes(session, tenant_id),
        Quota.OPEN_JOBS: repository.open_jobs(session, tenant_id),
        Quota.GPU_SECONDS: repository.gpu_seconds(
            session, tenant_id, settings_of(session).quota_gpu_days
        ),
    }
    return [
        QuotaUse(quota=quota, limit=_limit(session, tenant_id, quota), used=used[quota])
        for quota in Quota
    ]


def set_quotas(
    session: Session, tenant_id: str, own: Mapping[Quota, float | None], reset: frozenset[Quota]
) -> None:
    """Give the tenant its own limits (``None``: no limit); those in ``reset`` follow the settings again.

    Raises :class:`NotFound`.
    """
    tenant = session.get(Tenant, tenant_id, with_for_update=True)
    if tenant is None:
        raise NotFound.of("tenant", tenant_id)
    kept = {name: limit for name, limit in tenant.quotas.items() if Quota(name) not in reset}
    tenant.quotas = kept | {quota.value: limit for quota, limit in own.items()}
    session.flush()


def _limit(session: Session, tenant_id: str, quota: Quota) -> float | None:
    own = repository.own_quotas(session, tenant_id)
    settings = settings_of(session)
    defaults = {
        Quota.STORED_BYTES: settings.quota_stored_bytes,
        Quota.OPEN_JOBS: settings.quota_open_jobs,
        Quota.GPU_SECONDS: settings.quota_gpu_seconds,
    }
    limit: float | None = own.get(quota.value, defaults[quota])
    return limit
