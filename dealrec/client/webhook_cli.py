"""``dealrec webhooks``."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dealrec.client.asking import DEFAULT_SERVER, KeyOption, ServerOption, asking, plain_record
from dealrec.client.control_cli import LimitOption, print_records, say_deleted
from dealrec.options import JsonOption
from dealrec.terminal import Panel, add_commands, examples, print_json, say

if TYPE_CHECKING:
    from dealrec.client.webhooks import Delivery, NewWebhook, Webhook

WebhookArgument = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Id of a webhook (wh_…).")]


def register(application: typer.Typer) -> None:
    """Add ``webhooks``."""
    webhooks = typer.Typer(
        help="Manage webhooks, which are addresses that the server notifies when jobs end.",
        no_args_is_help=True,
    )
    commands: dict[str, Callable[..., None]] = {
        "create": create_command,
        "list": list_command,
        "deliveries": deliveries_command,
        "ping": ping_command,
        "redeliver": redeliver_command,
        "rotate": rotate_command,
        "delete": delete_command,
    }
    add_commands(webhooks, commands)
    application.add_typer(webhooks, name="webhooks", rich_help_panel=Panel.OPERATION)


@examples(
    "dealrec webhooks create https://example.com/hooks",
    "dealrec webhooks create https://example.com/hooks --event job.failed --event stage.failed",
)
def create_command(
    url: Annotated[str, typer.Argument(help="The address to which messages are posted.")],
    event: Annotated[
        list[str] | None,
        typer.Option(
            help="A kind of event, such as job.failed. Can be repeated; default: every end of a job."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Add an address to notify, and print the secret that signs the messages. It is shown only once."""
    with asking(server, key) as client:
        webhook = client.webhooks.create(url, events=event, name=name)
    _say_secret(webhook, json=json)


@examples("dealrec webhooks list")
def list_command(
    limit: LimitOption = 20,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List webhooks, newest first."""

    def told(webhook: "Webhook[Any]") -> list[str]:
        state = "active" if webhook.active else "off"
        return [webhook.id, state, ",".join(webhook.events), webhook.url, webhook.name or ""]

    with asking(server, key) as client:
        print_records(client.webhooks.list(), told, limit, json=json)


@examples(
    "dealrec webhooks deliveries wh_01hxyz",
    "dealrec webhooks deliveries wh_01hxyz --state failed",
)
def deliveries_command(
    webhook_id: WebhookArgument,
    state: Annotated[str | None, typer.Option(help="pending, delivered or failed.")] = None,
    limit: LimitOption = 20,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List the messages to a webhook, newest first, with the last response to each."""

    def told(delivery: "Delivery") -> list[str]:
        tried = f"{delivery.attempts} attempt" + ("" if delivery.attempts == 1 else "s")
        about = delivery.job_id or ""
        return [delivery.id, delivery.state, delivery.event, about, tried, delivery.error or ""]

    with asking(server, key) as client:
        found = client.webhooks.get(webhook_id).deliveries(state)
        print_records(found, told, limit, json=json)


@examples("dealrec webhooks ping wh_01hxyz")
def ping_command(
    webhook_id: WebhookArgument,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Send a test message. `dealrec webhooks deliveries` shows whether it arrived."""
    with asking(server, key) as client:
        _say_delivery(client.webhooks.get(webhook_id).ping(), json=json)


@examples("dealrec webhooks redeliver wh_01hxyz msg_01hxyz")
def redeliver_command(
    webhook_id: WebhookArgument,
    delivery_id: Annotated[str, typer.Argument(metavar="MESSAGE", help="Id of a message (msg_…).")],
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Send a message again under the same id."""
    with asking(server, key) as client:
        _say_delivery(client.webhooks.get(webhook_id).redeliver(delivery_id), json=json)


@examples("dealrec webhooks rotate wh_01hxyz")
def rotate_command(
    webhook_id: WebhookArgument,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Give a webhook a new secret and print it. For 24 hours the old one signs messages as well."""
    with asking(server, key) as client:
        webhook = client.webhooks.get(webhook_id).rotate()
    _say_secret(webhook, json=json)


@examples("dealrec webhooks delete wh_01hxyz")
def delete_command(
    webhook_id: WebhookArgument,
    server: ServerOption = DEFAULT_SERVER,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a webhook and all its messages, including those not sent yet."""
    with asking(server, key) as client:
        client.webhooks.get(webhook_id).delete()
    say_deleted(webhook_id, json=json)


def _say_secret(webhook: "NewWebhook[Any]", *, json: bool) -> None:
    if json:
        print_json(plain_record(webhook))
        return
    say(f"{webhook.id}  {webhook.url}")
    say("Keep this secret; it is not shown again:")
    say(webhook.secret)


def _say_delivery(delivery: "Delivery", *, json: bool) -> None:
    if json:
        print_json(plain_record(delivery))
    else:
        say(f"{delivery.id} {delivery.event} {delivery.state}")
