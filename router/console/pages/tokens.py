"""API tokens: made, told once, revoked; of everybody, or of one tenant."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from router.console.access import check_gives
from router.console.api.lists import piece, place_of
from router.console.pages.page import Action, Fault, Faulty, Form, FormPage, Page
from router.console.scopes import PLATFORMS_OWN, Scope, parse_scopes
from router.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.console.pages.page import Call, Desk
    from router.console.pages.uploads import Sent
    from router.console.tokens import Tokens

PLATFORMS: Final = "/tokens"
TENANTS: Final = "/tenants/{tenant}/tokens"

_AT_ONCE: Final = 50
_MEANINGS: Final[Mapping[Scope, str]] = MappingProxyType(
    {
        Scope.INVOICE_LINE: "ask for the line of an invoice",
        Scope.INVITATIONS: "invite people",
        Scope.TENANTS_READ: "read settings and traffic",
        Scope.TENANTS_WRITE: "change settings",
        Scope.TENANTS_MANAGE: "add, suspend and delete tenants",
        Scope.DOMAINS_READ: "read domains",
        Scope.DOMAINS_WRITE: "claim and release domains",
        Scope.DOMAINS_VOUCH: "vouch for domains",
        Scope.CERTIFICATES_READ: "read certificates",
        Scope.CERTIFICATES_WRITE: "upload and delete certificates",
        Scope.USERS_READ: "read users",
        Scope.USERS_WRITE: "change users, and sign them out",
        Scope.AUDIT_READ: "read the audit",
        Scope.TOKENS_READ: "read of tokens",
        Scope.TOKENS_WRITE: "make and revoke tokens",
        Scope.OPERATORS_READ: "read of operators",
        Scope.OPERATORS_WRITE: "ask operators in, and out",
        Scope.WEBHOOKS_READ: "read webhooks",
        Scope.WEBHOOKS_WRITE: "change webhooks",
    }
)


class TokensPage(FormPage):
    """``/tokens``: all of them; the form makes one for the platform, and shows it this once."""

    path: ClassVar = PLATFORMS
    template: ClassVar = "tokens.html"
    title: ClassVar = "API tokens"
    section: ClassVar = "tokens"
    scope: ClassVar = Scope.TOKENS_READ
    change: ClassVar = Scope.TOKENS_WRITE
    platform: ClassVar = True
    typed: ClassVar = ("name", "days", *Scope)
    required: ClassVar = ("name", "days")
    said: ClassVar = MappingProxyType({"bad_name": "name", "bad_expiry": "days", "bad_scope": "scopes"})
    told: ClassVar = MappingProxyType({"revoked": "The token opens nothing any more."})

    def __init__(self, desk: Desk, tokens: Tokens) -> None:
        super().__init__(desk)
        self._tokens = tokens

    async def filled(self, call: Call) -> Mapping[str, str]:  # noqa: ARG002 - the same for all
        """Begin with a year."""
        return {"days": "365"}

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Read a piece of the list."""
        here, asked = call.address(self.path), call.request.query.get("after", "")
        facts: dict[str, object] = {
            "secret": "",
            "first": here if asked else "",
            "of_tenant": call.about,
        }
        facts["offered"] = [(scope, _MEANINGS[scope]) for scope in Scope if _may_give(call, scope)]
        try:
            place = place_of(asked, int, str) if asked else None
        except BadInput as fault:
            return facts | {"tokens": [], "fault": fault.sentence, "next": ""}
        after = (int(place[0]), str(place[1])) if place else None
        found = await self._tokens.page(call.within, most=_AT_ONCE + 1, after=after)
        rows, following = piece(found, _AT_ONCE, lambda token: (token.created_at, token.id))
        return facts | {
            "tokens": [(token, self._tokens.state(token)) for token in rows],
            "fault": "",
            "next": f"{here}?after={following}" if following else "",
        }

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Make it: with nothing that whoever makes it may not do themselves."""
        scopes = parse_scopes([scope for scope in Scope if sent[scope] == "yes"])
        check_gives(call.principal, scopes)
        if call.about is not None and PLATFORMS_OWN.intersection(scopes):
            raise BadInput("bad_scope", "A token of one tenant cannot do what is the platform's.")
        days = sent["days"]
        if not days.isascii() or not days.isdigit() or len(days) > 4:  # noqa: PLR2004 - 3650 at most
            raise Faulty({"days": Fault("bad_expiry", "Say for how many days, 1 to 3650.")})
        secret, made = await self._tokens.add(
            sent["name"],
            scopes,
            days=int(days),
            tenant_id=call.within,
            actor=call.actor,
            operator_id=call.principal.operator_id,
        )
        facts = {
            **await self.facts(call),
            "secret": secret,
            "made": made,
            "form": Form(await self.filled(call)),
        }
        return self.render(call, facts)


class TenantTokensPage(TokensPage):
    """``/tenants/{tenant}/tokens``: those of one tenant."""

    path: ClassVar = TENANTS
    section: ClassVar = "tenant-tokens"
    platform: ClassVar = False


class RevokeTokenAction(Action):
    """Make a token worthless."""

    path: ClassVar = PLATFORMS + "/{token}/revoke"
    back: ClassVar = PLATFORMS
    change: ClassVar = Scope.TOKENS_WRITE
    platform: ClassVar = True

    def __init__(self, desk: Desk, tokens: Tokens) -> None:
        super().__init__(desk)
        self._tokens = tokens

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """On every worker within a second."""
        await self._tokens.revoke(call.path["token"], actor=call.actor, tenant_id=call.within)
        return self.done(call, "revoked")


class RevokeTenantTokenAction(RevokeTokenAction):
    """The same within one tenant."""

    path: ClassVar = TENANTS + "/{token}/revoke"
    back: ClassVar = TENANTS
    platform: ClassVar = False


def token_pages(desk: Desk, tokens: Tokens) -> tuple[Page, ...]:
    """Make all pages about tokens."""
    return (
        TokensPage(desk, tokens),
        TenantTokensPage(desk, tokens),
        RevokeTokenAction(desk, tokens),
        RevokeTenantTokenAction(desk, tokens),
    )


def _may_give(call: Call, scope: Scope) -> bool:
    return call.principal.may(scope) and (call.about is None or scope not in PLATFORMS_OWN)
