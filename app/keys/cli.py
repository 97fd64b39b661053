"""Commands for keys and tenants, for whoever runs the server."""

from typing import Annotated

import typer

from dealrec.app.keys.scopes import Scope
from dealrec.app.kit.commands import DataDir, JsonOption, opened
from dealrec.app.quotas.schemas import Quota
from dealrec.errors import FieldError, InputError
from dealrec.terminal import command, print_json, say

TenantOption = Annotated[str, typer.Option(help="Whom it belongs to; made if new.")]
OneTenant = Annotated[str | None, typer.Option("--tenant", help="Of this tenant alone.")]
Limit = Annotated[str | None, typer.Option(help="A number, `none`, or `default` (the settings').")]


def register(application: typer.Typer) -> None:
    """Add ``keys`` and ``tenants``."""
    keys = typer.Typer(help="API keys.", no_args_is_help=True)
    keys.command("create")(command(create_key_command))
    keys.command("list")(command(list_keys_command))
    keys.command("revoke")(command(revoke_key_command))
    application.add_typer(keys, name="keys")
    tenants = typer.Typer(help="Tenants and their quotas.", no_args_is_help=True)
    tenants.command("list")(command(list_tenants_command))
    tenants.command("set")(command(set_tenant_command))
    application.add_typer(tenants, name="tenants")


def create_key_command(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    tenant: TenantOption = "default",
    scopes: Annotated[str, typer.Option(help="Of `read`, `write`, `admin`.")] = "read,write",
    expires_days: Annotated[int | None, typer.Option(min=1, max=36500)] = None,
    data_dir: DataDir = None,
    json: JsonOption = False,
) -> None:
    """Make an API key. It is shown this once: only its hash is kept."""
    from dealrec.app.audit.models import Actor
    from dealrec.app.audit.service import record
    from dealrec.app.keys.schemas import Key
    from dealrec.app.keys.service import create_key

    wanted = _scopes(scopes)
    with opened(data_dir) as database, database.session() as session:
        row, text = create_key(session, name, tenant, scopes=wanted, expires_days=expires_days)
        record(session, tenant, "key.create", row.id, actor=Actor.COMMAND)
    if json:
        print_json({**Key.of(row).model_dump(mode="json"), "tenant": tenant, "key": text})
    else:
        say("Keep this key; it is not shown again:")
        typer.echo(text)


def list_keys_command(
    tenant: OneTenant = None, data_dir: DataDir = None, json: JsonOption = False
) -> None:
    """Show every key, without its text."""
    from dealrec.app.keys.repository import all_keys
    from dealrec.app.keys.schemas import Key

    with opened(data_dir) as database, database.session(write=False) as session:
        rows = all_keys(session, tenant)
    if json:
        print_json(
            [{**Key.of(row).model_dump(mode="json"), "tenant": row.tenant_id} for row in rows]
        )
        return
    for row in rows:
        end = (row.revoked_at and "revoked") or (
            f"until {row.expires_at:%Y-%m-%d}" if row.expires_at else "valid"
        )
        say(f"{row.id}  {row.tenant_id}  {row.prefix}…  {','.join(row.scopes)}  {end}  {row.name}")


def revoke_key_command(
    key_id: Annotated[str, typer.Argument(help="Its id (`key_…`), as `keys list` shows it.")],
    data_dir: DataDir = None,
    json: JsonOption = False,
) -> None:
    """Revoke a key, from the next request on."""
    from dealrec.app.audit.models import Actor
    from dealrec.app.audit.service import record
    from dealrec.app.keys.models import ApiKey
    from dealrec.app.keys.service import revoke_key
    from dealrec.app.kit.errors import NotFound

    with opened(data_dir) as database, database.session() as session:
        row = session.get(ApiKey, key_id)
        if row is None:
            raise NotFound.of("key", key_id)
        revoke_key(session, row)
        record(session, row.tenant_id, "key.revoke", row.id, actor=Actor.COMMAND)
    if json:
        print_json({"id": key_id, "revoked": True})
    else:
        say(f"{key_id} is revoked.")


def list_tenants_command(data_dir: DataDir = None, json: JsonOption = False) -> None:
    """Show every tenant: what it uses, and what it may."""
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


def set_tenant_command(
    tenant: Annotated[str, typer.Argument(help="Its name.")],
    stored_bytes: Limit = None,
    open_jobs: Limit = None,
    gpu_seconds: Limit = None,
    data_dir: DataDir = None,
    json: JsonOption = False,
) -> None:
    """Give a tenant quotas of its own; it is made if new."""
    from dealrec.app.audit.models import Actor
    from dealrec.app.audit.service import record
    from dealrec.app.keys.repository import ensure_tenant
    from dealrec.app.keys.service import require_tenant_name
    from dealrec.app.kit.database import database_now
    from dealrec.app.quotas.service import set_quotas, uses

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


def _scopes(text: str) -> list[Scope]:
    try:
        return [Scope(name.strip()) for name in text.split(",")]
    except ValueError:
        known = ", ".join(Scope)
        raise InputError(
            f"Scopes are {known}, with commas between them.",
            code="invalid_scopes",
            title="The scopes cannot be used",
            errors=[FieldError("scopes", f"of {known}")],
        ) from None


def _limit(quota: Quota, text: str) -> float | None:
    if text == "none":
        return None
    try:
        limit = float(text) if quota is Quota.GPU_SECONDS else int(text)
    except ValueError:
        limit = -1
    if not 0 <= limit < 2**63:
        raise InputError(
            f"A limit of {quota.value} is a number from 0, `none` or `default`.",
            code="invalid_quota",
            title="The quota cannot be used",
            errors=[FieldError(quota.value, "a number from 0, `none` or `default`")],
        )
    return limit


def _shown(limit: float | None) -> str:
    return "no limit" if limit is None else f"{limit:,.0f}"
