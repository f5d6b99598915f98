"""Which commands there are through the API, and what each does there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from inspect import BoundArguments
from typing import Any, Final

from router.cli import (
    apply,
    audit,
    certificate,
    domain,
    importing,
    invitations,
    operator,
    tenant,
    token,
    user,
    webhook,
)
from router.cli.output import Usage
from router.cli.remote import (
    applying,
    audits,
    certificates,
    domains,
    exporting,
    operators,
    people,
    tenants,
    webhooks,
)
from router.cli.remote.client import Client
from router.cli.remote.place import Place

COMMANDS: Final[dict[Callable[..., Any], Callable[[Client, tenants.Given], int | None]]] = {
    tenant.list_: tenants.list_all,
    tenant.show: tenants.show,
    tenant.add: tenants.add,
    tenant.set_: tenants.change,
    tenant.suspend: tenants.suspend,
    tenant.resume: tenants.resume,
    tenant.end_sessions: tenants.end_sessions,
    tenant.delete: tenants.delete,
    domain.add: domains.add,
    domain.verify: domains.verify,
    domain.status: domains.status,
    domain.wait: domains.wait,
    domain.release: domains.release,
    domain.list_: domains.list_all,
    domain.activate: domains.activate,
    domain.block: domains.block,
    domain.unblock: domains.unblock,
    domain.suspend: domains.suspend,
    domain.resume: domains.resume,
    certificate.check: certificates.check,
    certificate.upload: certificates.upload,
    certificate.list_: certificates.list_all,
    certificate.show: certificates.show,
    certificate.rollback: certificates.rollback,
    certificate.delete: certificates.delete,
    certificate.export_public: certificates.export_public,
    user.list_: people.list_users,
    user.show: people.show_user,
    user.join: people.join,
    user.leave: people.leave,
    user.disable: people.disable,
    user.enable: people.enable,
    user.sessions: people.sessions,
    user.end_sessions: people.end_sessions,
    invitations.invite: people.invite,
    invitations.invitations: people.list_invitations,
    token.add: people.add_token,
    token.list_: people.list_tokens,
    token.revoke: people.revoke_token,
    operator.add: operators.add,
    operator.list_: operators.list_all,
    operator.role: operators.role,
    operator.disable: operators.disable,
    operator.enable: operators.enable,
    operator.remove: operators.remove,
    operator.link: operators.link,
    webhook.add: webhooks.add,
    webhook.list_: webhooks.list_all,
    webhook.rotate: webhooks.rotate,
    webhook.disable: webhooks.disable,
    webhook.enable: webhooks.enable,
    webhook.remove: webhooks.remove,
    webhook.deliveries: webhooks.deliveries,
    webhook.redeliver: webhooks.redeliver,
    webhook.try_out: webhooks.try_out,
    apply.export: exporting.export,
    apply.apply: applying.apply,
    importing.import_: applying.import_,
    audit.list_: audits.list_lines,
    audit.export: audits.export,
}


def run(place: Place, command: Callable[..., Any], typed: BoundArguments, names: Sequence[str]) -> int | None:
    """Do a command through the API. Raises ``Usage("not_remote")`` for one that there is not."""
    doing = COMMANDS.get(command)
    if doing is None:
        name = " ".join(["tenant-router", *names])
        sentence = f"{name} works on the router's own database and files: run it there, without --server."
        raise Usage("not_remote", sentence)
    typed.apply_defaults()
    with closing(Client(place)) as client:
        return doing(client, typed.arguments)
