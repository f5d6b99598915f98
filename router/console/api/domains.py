"""``…/domains``: hostnames of a tenant's own; how each claim stands, what was seen, what to do next."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime  # noqa: TC003 - pydantic reads the annotations when it runs
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, Field

from router.console.api.bodies import Body
from router.console.api.lists import Paging, piece, place_of
from router.console.api.operation import Call, Operation, Reply
from router.console.api.tenant_views import moment
from router.console.scopes import Scope
from router.errors import BadInput
from router.tenants.form import TenantForm
from router.tenants.story import ends_at

if TYPE_CHECKING:
    from router.tenants.domains import Domains, Standing
    from router.tenants.evidence_rows import Recorded
    from router.tenants.registry import Registry

_ALL: Final = "/tenants/{tenant}/domains"
_ONE: Final = "/tenants/{tenant}/domains/{hostname}"
_NO_NAME: Final = (
    "ip_address",
    "wildcard",
    "bad_hostname",
    "under_platform",
    "reserved_name",
    "public_suffix",
)
_FAULTS: Final = (*_NO_NAME, "claim_not_found")


class DomainWish(Body):
    """The hostname that a tenant's portal is to answer at."""

    hostname: str = Field(min_length=1, examples=["billing.example.com"])
    behind_cdn: bool | None = Field(
        None, description="Whether a CDN stands before it: then the proof is a TXT record."
    )


class Reason(Body):
    """Why a platform operator decides so; the audit keeps it."""

    reason: str = Field(min_length=1, max_length=500)


class RecordWanted(BaseModel):
    """A DNS record to create."""

    type: Literal["CNAME", "TXT"]
    name: str
    value: str


class EvidenceTold(BaseModel):
    """What was asked about a hostname, of whom, what came, and what would have been good."""

    at: datetime
    method: str
    asked: str
    resolver: str = Field(description="Empty: none answered, or none was asked.")
    answer: str
    expected: str
    verdict: str = Field(description="`good`, `missing`, `wrong` or `unanswered`.")
    code: str


class DomainTold(BaseModel):
    """How a claim to a hostname stands."""

    hostname: str
    state: str
    code: str = Field(description="Why it stands so: docs/domains.md has them all.")
    sentence: str
    next_step: str = Field(description="What to do next; empty: nothing.")
    behind_cdn: bool
    records: list[RecordWanted] = Field(description="Either of them proves it.")
    proof: str | None = Field(description="`cname`, `txt` or `operator`; none as yet.")
    proved_at: datetime | None
    lost_at: datetime | None = Field(description="Since when its proof is gone.")
    serves_until: datetime | None = Field(description="When it is released, where its proof is gone.")
    checks: int = Field(description="Checks in vain, since somebody asked.")
    checked_at: datetime | None
    next_check_at: datetime | None = Field(description="None: not until somebody asks.")
    reason: str | None = Field(description="A platform operator's.")


class DomainTraced(DomainTold):
    """How a claim stands, and what the latest checks heard, the newest first."""

    evidence: list[EvidenceTold]


class DomainList(BaseModel):
    """A piece of the list of a tenant's domains, by hostname."""

    items: list[DomainTold]
    next: str | None


class DomainsEndpoint:
    """Answers for the claims to hostnames."""

    def __init__(self, domains: Domains, registry: Registry) -> None:
        self._domains = domains
        self._registry = registry

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        return (*self._for_tenants(), *self._for_the_platform())

    def _for_tenants(self) -> tuple[Operation, ...]:
        return (
            Operation(
                "GET",
                _ALL,
                Scope.DOMAINS_READ,
                self._list,
                "List the hostnames that a tenant claims",
                query=Paging,
                answer=DomainList,
                fails=("bad_cursor",),
            ),
            Operation(
                "POST",
                _ALL,
                Scope.DOMAINS_WRITE,
                self._claim,
                "Claim a hostname; the former one serves until this one is active",
                body=DomainWish,
                answer=DomainTraced,
                status=201,
                creates=True,
                fails=(*_NO_NAME, "409 claim_state"),
            ),
            Operation(
                "GET",
                _ONE,
                Scope.DOMAINS_READ,
                self._show,
                "Show how a claim stands, what was heard, and what to do next",
                answer=DomainTraced,
                fails=_FAULTS,
            ),
            Operation(
                "POST",
                f"{_ONE}/check",
                Scope.DOMAINS_WRITE,
                self._check,
                "Look for the proof now",
                answer=DomainTraced,
                fails=(*_FAULTS, "409 claim_state", "409 changed_meanwhile"),
            ),
            Operation(
                "DELETE",
                _ONE,
                Scope.DOMAINS_WRITE,
                self._release,
                "Give a hostname up: it stops answering as the tenant's at once",
                answer=DomainTraced,
                fails=(*_FAULTS, "409 claim_state"),
            ),
        )

    def _for_the_platform(self) -> tuple[Operation, ...]:
        with_reason = (
            ("vouch", self._vouch, "Make a claim active by a platform operator's word, without proof"),
            ("block", self._block, "Refuse a claim, until that is taken back"),
            ("suspend", self._suspend, "Switch a hostname off; it stays the tenant's"),
        )
        without = (
            ("unblock", self._unblock, "Take the refusal of a claim back"),
            ("resume", self._resume, "Switch a suspended hostname on again"),
        )
        fails = (*_FAULTS, "409 claim_state")
        return (
            *(
                Operation(
                    "POST",
                    f"{_ONE}/{word}",
                    Scope.DOMAINS_VOUCH,
                    handle,
                    summary,
                    body=Reason,
                    answer=DomainTraced,
                    fails=(*fails, "bad_reason", "409 hostname_taken"),
                )
                for word, handle, summary in with_reason
            ),
            *(
                Operation(
                    "POST",
                    f"{_ONE}/{word}",
                    Scope.DOMAINS_VOUCH,
                    handle,
                    summary,
                    answer=DomainTraced,
                    fails=fails,
                )
                for word, handle, summary in without
            ),
        )

    async def _list(self, call: Call[None, Paging]) -> Reply:
        after = place_of(call.query.after, str)[0] if call.query.after is not None else ""
        found = await self._domains.list(call.admitted.tenant.slug)
        rest = [each for each in found if each.claim.hostname > str(after)]
        some, cursor = piece(rest, call.query.limit, lambda each: (str(each.claim.hostname),))
        return Reply(DomainList(items=[_told(each) for each in some], next=cursor))

    async def _claim(self, call: Call[DomainWish, None]) -> Reply:
        slug, wish = call.admitted.tenant.slug, call.body
        form = TenantForm(external_domain=wish.hostname, behind_cdn=wish.behind_cdn)
        try:
            await self._registry.change(slug, form, actor=call.actor)
        except BadInput as fault:
            fault.field = "hostname"
            raise
        return Reply(_traced(await self._domains.status(wish.hostname, slug=slug)))

    async def _show(self, call: Call[None, None]) -> Reply:
        return Reply(_traced(await self._domains.status(_hostname(call), slug=_slug(call))))

    async def _check(self, call: Call[None, None]) -> Reply:
        standing = await self._domains.verify(_hostname(call), slug=_slug(call), actor=call.actor)
        return Reply(_traced(standing))

    async def _release(self, call: Call[None, None]) -> Reply:
        standing = await self._domains.release(_hostname(call), slug=_slug(call), actor=call.actor)
        return Reply(_traced(standing))

    async def _vouch(self, call: Call[Reason, None]) -> Reply:
        reason, slug = call.body.reason, _slug(call)
        await self._registry.activate_domain(_hostname(call), reason=reason, slug=slug, actor=call.actor)
        return Reply(_traced(await self._domains.status(_hostname(call), slug=slug)))

    async def _block(self, call: Call[Reason, None]) -> Reply:
        reason, slug = call.body.reason, _slug(call)
        standing = await self._domains.block(_hostname(call), reason=reason, slug=slug, actor=call.actor)
        return Reply(_traced(standing))

    async def _unblock(self, call: Call[None, None]) -> Reply:
        standing = await self._domains.unblock(_hostname(call), slug=_slug(call), actor=call.actor)
        return Reply(_traced(standing))

    async def _suspend(self, call: Call[Reason, None]) -> Reply:
        reason, slug = call.body.reason, _slug(call)
        standing = await self._domains.suspend(_hostname(call), reason=reason, slug=slug, actor=call.actor)
        return Reply(_traced(standing))

    async def _resume(self, call: Call[None, None]) -> Reply:
        standing = await self._domains.resume(_hostname(call), slug=_slug(call), actor=call.actor)
        return Reply(_traced(standing))


def _hostname(call: Call[Any, None]) -> str:
    return call.path["hostname"]


def _slug(call: Call[Any, None]) -> str:
    """Name whose claim is meant: that of the tenant in the path, whoever else claims the hostname."""
    return call.admitted.tenant.slug


def _traced(standing: Standing) -> DomainTraced:
    evidence = [_evidence(each) for each in standing.evidence]
    return DomainTraced(**_told(standing).model_dump(), evidence=evidence)


def _told(standing: Standing) -> DomainTold:
    claim, story = standing.claim, standing.story
    return DomainTold(
        hostname=str(claim.hostname),
        state=claim.state.value,
        code=story.code,
        sentence=story.sentence,
        next_step=story.next_step,
        behind_cdn=claim.behind_cdn,
        records=_records(standing),
        proof=claim.proof,
        proved_at=_moment(claim.proved_at),
        lost_at=_moment(claim.lost_at),
        serves_until=_moment(ends_at(claim)),
        checks=claim.checks,
        checked_at=_moment(claim.checked_at),
        next_check_at=_moment(claim.next_check_at),
        reason=claim.reason,
    )


def _records(standing: Standing) -> list[RecordWanted]:
    """Name what would prove a claim; the CNAME of a hostname behind a CDN leads to the CDN."""
    claim = standing.claim
    txt = RecordWanted(type="TXT", name=claim.txt_name, value=claim.txt_token)
    if claim.behind_cdn:
        return [txt]
    return [RecordWanted(type="CNAME", name=str(claim.hostname), value=str(standing.target)), txt]


def _evidence(recorded: Recorded) -> EvidenceTold:
    return EvidenceTold(at=moment(recorded.at), **asdict(recorded.line))


def _moment(at: int | None) -> datetime | None:
    return None if at is None else moment(at)
