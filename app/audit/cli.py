"""``dealrec audit`` shows operators the audit trail."""

from typing import Annotated

import typer

from dealrec.app.kit.commands import DataDir, JsonOption, opened
from dealrec.extras import Extra
from dealrec.terminal import Panel, add_commands, examples, print_json, say


def register(application: typer.Typer) -> None:
    """Add the command."""
    add_commands(application, {"audit": audit_command}, needs=Extra.SERVICE, panel=Panel.OPERATION)


@examples("dealrec audit --tenant default --limit 20")
def audit_command(
    tenant: Annotated[str | None, typer.Option(help="Show only this tenant's events.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="The largest number of events to show.")
    ] = 50,
    data_dir: DataDir = None,
    json: JsonOption = False,
) -> None:
    """Show who did what, newest first."""
    from dealrec.app.audit.repository import newest
    from dealrec.app.audit.schemas import AuditEvent

    with opened(data_dir) as database, database.session(write=False) as session:
        rows = newest(session, tenant, limit)
    if json:
        print_json(
            [
                {**AuditEvent.of(row).model_dump(mode="json"), "tenant": row.tenant_id}
                for row in rows
            ]
        )
        return
    for row in rows:
        by = row.key_id or row.actor
        say(
            f"{row.created_at:%Y-%m-%d %H:%M:%S}  {row.tenant_id}  {by}  {row.action}  {row.object_id}"
        )
