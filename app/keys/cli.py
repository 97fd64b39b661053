"""``dealrec keys`` lets operators create, list and revoke API keys."""

from typing import Annotated

import typer

from dealrec.app.kit.caller import Scope
from dealrec.app.kit.commands import DataDir, JsonOption, opened
from dealrec.errors import FieldError, InputError
from dealrec.extras import Extra
from dealrec.terminal import Panel, add_commands, examples, help_panel, print_json, say

TenantOption = Annotated[
    str, typer.Option(help="The tenant that owns the key; a new one is created.")
]
OneTenant = Annotated[str | None, typer.Option("--tenant", help="Show only this tenant's keys.")]


def register(application: typer.Typer) -> None:
    """Add ``keys``."""
    keys = typer.Typer(help="Manage API keys.", no_args_is_help=True)
    add_commands(
        keys,
        {
            "create": create_key_command,
            "list": list_keys_command,
            "revoke": revoke_key_command,
        },
        needs=Extra.SERVICE,
    )
    application.add_typer(
        keys, name="keys", rich_help_panel=help_panel(Extra.SERVICE, Panel.OPERATION)
    )


@examples(
    "dealrec keys create nightly-job",
    "dealrec keys create operator --scopes read,write,admin --expires-days 365",
)
def create_key_command(
    name: Annotated[str, typer.Argument(help="A name that says what the key is for.")],
    tenant: TenantOption = "default",
    scopes: Annotated[
        str, typer.Option(help="Any of `read`, `write`, `admin`, separated by commas.")
    ] = "read,write",
    expires_days: Annotated[
        int | None,
        typer.Option(
            min=1, max=36500, help="Days until the key expires; default: it never expires."
        ),
    ] = None,
    data_dir: DataDir = None,
    json: JsonOption = False,
) -> None:
    """Create an API key. It is shown only once, because only its hash is stored."""
    from dealrec.app.keys.schemas import Key
    from dealrec.app.keys.service import create_key
    from dealrec.app.kit.trail import record
    from dealrec.app.tables.audit import Actor

    wanted = _scopes(scopes)
    with opened(data_dir) as database, database.session() as session:
        row, text = create_key(session, name, tenant, scopes=wanted, expires_days=expires_days)
        record(session, tenant, "key.create", row.id, actor=Actor.COMMAND)
    if json:
        print_json({**Key.of(row).model_dump(mode="json"), "tenant": tenant, "key": text})
    else:
        say("Keep this key; it is not shown again:")
        typer.echo(text)


@examples("dealrec keys list")
def list_keys_command(
    tenant: OneTenant = None, data_dir: DataDir = None, json: JsonOption = False
) -> None:
    """List all keys, without the keys' secret text."""
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


@examples("dealrec keys revoke key_01hxyz")
def revoke_key_command(
    key_id: Annotated[str, typer.Argument(help="The id (`key_…`) that `keys list` shows.")],
    data_dir: DataDir = None,
    json: JsonOption = False,
) -> None:
    """Revoke a key. The next request with it is refused."""
    from dealrec.app.keys.service import revoke_key
    from dealrec.app.kit.errors import NotFound
    from dealrec.app.kit.trail import record
    from dealrec.app.tables.audit import Actor
    from dealrec.app.tables.keys import ApiKey

    with opened(data_dir) as database, database.session() as session:
        row = session.get(ApiKey, key_id)
        if row is None:
            raise NotFound.of("key", key_id)
        revoke_key(session, row)
        record(session, row.tenant_id, "key.revoke", row.id, actor=Actor.COMMAND)
    if json:
        print_json({"id": key_id, "revoked": True})
    else:
        say(f"{key_id} was revoked.")


def _scopes(text: str) -> list[Scope]:
    try:
        return [Scope(name.strip()) for name in text.split(",")]
    except ValueError:
        known = ", ".join(Scope)
        raise InputError(
            f"The scopes are {known}, separated by commas.",
            code="invalid_scopes",
            title="The scopes cannot be used",
            errors=[FieldError("scopes", f"must be one or more of {known}")],
        ) from None
