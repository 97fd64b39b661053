"""``dealrec tenants`` lets operators list tenants and set their quotas."""

from typing import Annotated

import typer

from dealrec.app.kit.commands import DataDir, JsonOption, opened
from dealrec.app.quotas.schemas import Quota
from dealrec.errors import FieldError, InputError
from dealrec.extras import Extra
from dealrec.terminal import Panel, add_commands, examples, help_panel, print_json, say

Limit = Annotated[
    str | None,
    typer.Option(help="A number, `none` (no limit), or `default` (the server's setting)."),
]


def register(application: typer.Typer) -> None:
    """Add ``tenants``."""
    tenants = typer.Typer(help="Manage tenants and their quotas.", no_args_is_help=True)
    add_commands(
        tenants, {"list": list_tenants_command, "set": set_tenant_command}, needs=Extra.SERVICE
    )
    application.add_typer(
        tenants, name="tenants", rich_help_panel=help_panel(Extra.SERVICE, Panel.OPERATION)
    )


@examples("dealrec tenants list")
def list_tenants_command(data_dir: DataDir = None, json: JsonOption = False) -> None:
    """Show what every tenant uses, and its quotas."""
    from dealrec.app.keys.repository import all_tenants
    from dealrec.app.quotas.service import uses

    with opened(data_dir) as database, database.session(write=False) as session:
        found = {tenant.id: uses(session, tenant.id) for tenant in all_tenants(session)}
    if json:
        print_json(
            [
                {"tenant": tenant, "quotas": [use.model_dump(mode="json") for use in used]}
                for tenant, used in found.items()
            ]
        )
        return
    for tenant, used in found.items():
        parts = (f"{use.quota.value} {use.used:,.0f} of {_shown(use.limit)}" for use in used)
        say(f"{tenant}: {', '.join(parts)}")


@examples("dealrec tenants set research --open-jobs 5 --stored-bytes none")
def set_tenant_command(
    tenant: Annotated[str, typer.Argument(help="Name of the tenant.")],
    stored_bytes: Limit = None,
    open_jobs: Limit = None,
    gpu_seconds: Limit = None,
    data_dir: DataDir = None,
    json: JsonOption = False,
) -> None:
    """Give a tenant its own quotas. A tenant that does not exist is created."""
    from dealrec.app.keys.repository import ensure_tenant
    from dealrec.app.keys.service import require_tenant_name
    from dealrec.app.kit.database import database_now
    from dealrec.app.kit.trail import record
    from dealrec.app.quotas.service import set_quotas, uses
    from dealrec.app.tables.audit import Actor

    given = {
        Quota.STORED_BYTES: stored_bytes,
        Quota.OPEN_JOBS: open_jobs,
        Quota.GPU_SECONDS: gpu_seconds,
    }
    reset = frozenset(quota for quota, text in given.items() if text == "default")
    own = {
        quota: _limit(quota, text)
        for quota, text in given.items()
        if text is not None and quota not in reset
    }
    require_tenant_name(tenant)
    with opened(data_dir) as database, database.session() as session:
        ensure_tenant(session, tenant, database_now(session))
        set_quotas(session, tenant, own, reset)
        record(session, tenant, "tenant.set_quotas", tenant, actor=Actor.COMMAND)
        now = uses(session, tenant)
    if json:
        print_json({"tenant": tenant, "quotas": [use.model_dump(mode="json") for use in now]})
    else:
        say(f"{tenant}: " + ", ".join(f"{use.quota.value} {_shown(use.limit)}" for use in now))


def _limit(quota: Quota, text: str) -> float | None:
    if text == "none":
        return None
    try:
        limit = float(text) if quota is Quota.GPU_SECONDS else int(text)
    except ValueError:
        limit = -1
    if not 0 <= limit < 2**63:
        raise InputError(
            f"The limit of {quota.value} must be a number of at least 0, `none` or `default`.",
            code="invalid_quota",
            title="The quota cannot be used",
            errors=[FieldError(quota.value, "must be a number of at least 0, `none` or `default`")],
        )
    return limit


def _shown(limit: float | None) -> str:
    return "no limit" if limit is None else f"{limit:,.0f}"
