"""``tenant-router mail``: list, show, retry, test."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from router.cli.output import AsJson, Record, Usage, answer, show_list, show_record, when
from router.errors import BadInput

if TYPE_CHECKING:
    from router.mail.message import Message, Sender
    from router.mail.queue import MailRecord
    from router.tenants.tenant import Tenant

app = App(name="mail", help="Mails to customers: list, show, retry, test.")

State = Literal["waiting", "sending", "sent", "failed"]


@app.command(name="list")
async def list_(
    *,
    tenant: Annotated[str | None, Parameter(help="Only those of one tenant.")] = None,
    state: Annotated[State | None, Parameter(help="Only those in one state.")] = None,
    most: Annotated[int, Parameter(help="How many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the latest mails and what became of them.

    For example:
        tenant-router mail list --state failed
    """
    from router.cli.stores import opened  # noqa: PLC0415 - --help does without the database
    from router.mail.queue import Queue  # noqa: PLC0415 - the same

    async with opened() as stores:
        slugs = {each.tenant.id: each.tenant.slug for each in await stores.registry.list()}
        wanted = await stores.owner(tenant)
        records = await Queue(stores.database).list(tenant_id=wanted, state=state, most=max(1, most))
    rows = [described(record, _whose(record, slugs)) for record in records]
    columns = ("id", "tenant", "kind", "recipient", "state", "attempts", "created_at", "error")
    show_list(rows, columns, as_json=as_json, none="There are none.")


@app.command
async def show(
    mail_id: Annotated[str, Parameter(help="Which one, as `mail list` names it.")],
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what became of one mail; what it says is for its recipient alone.

    For example:
        tenant-router mail show mail_3f9c1b2a4d5e6f7081920a1b
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see list
    from router.mail.queue import Queue  # noqa: PLC0415 - the same

    async with opened() as stores:
        record = await Queue(stores.database).find(mail_id)
        slugs = {each.tenant.id: each.tenant.slug for each in await stores.registry.list()}
    show_record(described(record, _whose(record, slugs)), as_json=as_json)


@app.command
async def retry(
    mail_id: Annotated[str | None, Parameter(help="Which one, as `mail list` names it.")] = None,
    /,
    *,
    failed: Annotated[bool, Parameter(negative=(), help="All that were given up.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have a mail tried again at once: one that waits, or one that was given up.

    Its links have run out if it is old: then invite again, or let the customer ask again.

    For example:
        tenant-router mail retry mail_3f9c1b2a4d5e6f7081920a1b
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see list
    from router.mail.queue import Queue  # noqa: PLC0415 - the same

    if (mail_id is None) != failed:
        raise Usage("usage", "Say which mail, or --failed for all that were given up.")
    async with opened() as stores:
        queue = Queue(stores.database)
        if mail_id is None:
            count = await queue.retry_failed(time.time(), actor=actor())
        else:
            await queue.retry(mail_id, time.time(), actor=actor())
            count = 1
        await stores.bell.ring()
    told = f"{count} mails are" if count != 1 else "It is"
    answer({"retried": count}, f"{told} tried again now: tenant-router mail list", as_json=as_json)


@app.command(name="test")
async def send_test(
    address: Annotated[str, Parameter(help="Whom to send it to: an address of your own.")],
    /,
    *,
    tenant: Annotated[str, Parameter(help="The tenant in whose name it is.")],
    as_json: AsJson = False,
) -> None:
    """Send a mail now, past the outbox, and show what the mail server said in the end.

    For example:
        tenant-router mail test me@example.com --tenant acme
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see list
    from router.mail.transports import sender_of, transport_of  # noqa: PLC0415 - the same

    async with opened() as stores:
        settings, about = stores.settings, (await stores.registry.get(tenant)).tenant
    if settings.smtp_url is None:
        raise BadInput("no_mail_server", "ROUTER_SMTP_URL is not set: mails wait in the outbox until it is.")
    sender = sender_of(settings.sender)
    message = _test_message(address, about, sender)
    said = await transport_of(settings.smtp_url, sender).send(message)
    data = {"id": message.id, "sender": message.sender, "recipient": message.recipient, "answer": said}
    answer(
        data, f"Sent from {message.sender} to {message.recipient}.", f"The answer: {said}", as_json=as_json
    )


def _test_message(address: str, tenant: Tenant, sender: Sender) -> Message:
    from router.mail.message import Composed, build  # noqa: PLC0415 - see list
    from router.storage.schema import new_id  # noqa: PLC0415 - the same

    brand = tenant.branding
    text = f"This is how mails of the portal https://{tenant.hostname} arrive.\n"
    subject = f"{brand.shown_name}: a test"
    composed = Composed(subject, text, f"<p>{text}</p>\n", brand.shown_name, brand.reply_to)
    return build(
        composed, mail_id=new_id("mail"), sender=sender, recipient=address.strip(), at=int(time.time())
    )


def _whose(record: MailRecord, slugs: dict[str, str]) -> str:
    return slugs.get(record.tenant_id, record.tenant_id) if record.tenant_id else "(platform)"


def described(record: MailRecord, slug: str) -> Record:
    """Describe a mail by what became of it."""
    waits = record.state == "waiting"
    return {
        "id": record.id,
        "tenant": slug,
        "kind": record.kind,
        "recipient": record.recipient,
        "language": record.language,
        "state": record.state,
        "attempts": record.attempts,
        "created_at": when(record.created_at),
        "next_attempt_at": when(record.due_at) if waits else None,
        "sent_at": when(record.sent_at) if record.sent_at is not None else None,
        "error": record.error,
    }
