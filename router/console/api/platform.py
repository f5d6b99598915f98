"""``/explain`` and ``/attention``: for those who run the platform."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations when it runs
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from router.console.api.bodies import Body
from router.console.api.operation import Call, Operation, Reply
from router.console.api.tenant_views import moment, portal_url
from router.console.attention import Trouble  # noqa: TC001 - the same
from router.console.diagnosis import Shown
from router.console.scopes import Scope
from router.observe.foreseen import Deed  # noqa: TC001 - the same

if TYPE_CHECKING:
    from router.console.attention import Attention, Matter
    from router.console.diagnosis import Facts
    from router.console.inquiry import Explainer, Explanation


class ExplainQuery(Body):
    """What is to be explained."""

    host: str = Field(min_length=1, max_length=2000, description="A hostname, or an address as it is pasted.")
    path: str = Field("/", max_length=2000, description="As it is sent, perhaps with a query.")


class TenantFound(BaseModel):
    """Whose hostname it is."""

    portal_address: str
    status: str
    maintenance: bool
    portal_url: str


class ClaimFound(BaseModel):
    """The claim that decides."""

    state: str
    kind: str
    proof: str | None
    code: str | None


class CertificateFound(BaseModel):
    """The certificate that is presented, and why this one."""

    id: str
    names: list[str]
    why: str
    covers: bool
    key_type: str
    state: str | None = Field(description="None: a file in certs/.")
    not_after: datetime
    beside: list[str] = Field(description="Ids of those for clients that understand another kind of key.")


class UpstreamFound(BaseModel):
    """An upstream that was just connected to; ``fault`` is none if that went well."""

    url: str
    fault: str | None


class ForeseenTold(BaseModel):
    """What becomes of a request by ``who``."""

    who: str
    does: Deed
    status: int | None = Field(description="Of the answer; none: whoever it goes to decides.")
    code: str
    location: str


class Wrong(BaseModel):
    """The first thing that is wrong, in the order of a request's way."""

    code: str
    sentence: str


class ExplanationTold(BaseModel):
    """The whole decision about a hostname and a path."""

    hostname: str
    path: str
    console: bool = Field(description="Whether it is the console's own hostname.")
    tenant: TenantFound | None
    claim: ClaimFound | None
    claimed_by: list[str] = Field(description="Portal addresses of the tenants that claim it.")
    certificate: CertificateFound | None
    certificate_waiting: str | None = Field(description="Id of one that serves once the hostname is active.")
    upstreams: list[UpstreamFound]
    files_not_taken: list[str]
    decisions: list[ForeseenTold]
    wrong: Wrong | None


class MatterTold(BaseModel):
    """Something to look at."""

    kind: Trouble
    tenant: str | None = Field(description="Portal address of the tenant whose it is; none: the platform's.")
    subject: str = Field(
        description="An id of a certificate or webhook, a hostname, a recipient, upstreams or a worker."
    )
    at: datetime = Field(description="When it began; of a certificate, when it ends.")
    sentence: str


class AttentionTold(BaseModel):
    """What needs attention, the gravest first; a hundred of a kind at most."""

    items: list[MatterTold]
    more: list[Trouble] = Field(description="The kinds of which there is more than that.")
    next: None = None


class PlatformEndpoint:
    """Answers platform operators. ``public_port`` is the HTTPS port as customers see it."""

    def __init__(self, explainer: Explainer, attention: Attention, *, public_port: int) -> None:
        self._explainer = explainer
        self._attention = attention
        self._port = public_port

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        return (
            Operation(
                "GET",
                "/explain",
                Scope.TENANTS_READ,
                self._explain,
                "Explain what a hostname and a path get, why, and the first thing that is wrong",
                query=ExplainQuery,
                answer=ExplanationTold,
                platform=True,
                fails=("bad_hostname", "bad_path"),
            ),
            Operation(
                "GET",
                "/attention",
                Scope.TENANTS_READ,
                self._look,
                "List what needs attention: certificates, domains, upstreams, mails, webhooks, workers",
                answer=AttentionTold,
                platform=True,
            ),
        )

    async def _explain(self, call: Call[None, ExplainQuery]) -> Reply:
        return Reply(self._told(await self._explainer.explain(call.query.host, call.query.path)))

    async def _look(self, _call: Call[None, None]) -> Reply:
        found = await self._attention.look()
        return Reply(AttentionTold(items=[_matter(each) for each in found.matters], more=list(found.more)))

    def _told(self, found: Explanation) -> ExplanationTold:
        facts, wrong = found.facts, found.wrong
        decisions = [
            ForeseenTold(
                who=each.who, does=each.does, status=each.status, code=each.code, location=each.location
            )
            for each in found.foreseen
        ]
        return ExplanationTold(
            hostname=str(facts.hostname),
            path=found.path,
            console=facts.is_admin,
            **self._owner(facts),
            certificate=_certificate(facts.shown) if isinstance(facts.shown, Shown) else None,
            certificate_waiting=facts.waiting.id if facts.waiting is not None else None,
            upstreams=[UpstreamFound(url=each.url, fault=each.fault) for each in facts.probes],
            files_not_taken=list(facts.file_faults),
            decisions=decisions,
            wrong=Wrong(code=wrong.code, sentence=wrong.sentence) if wrong is not None else None,
        )

    def _owner(self, facts: Facts) -> dict[str, Any]:
        claim, tenant = facts.claim, facts.record.tenant if facts.record is not None else None
        found: dict[str, Any] = {"tenant": None, "claim": None}
        if tenant is not None:
            found["tenant"] = TenantFound(
                portal_address=tenant.slug,
                status=tenant.status,
                maintenance=tenant.forwarding.maintenance,
                portal_url=portal_url(tenant.hostname, self._port),
            )
        if claim is not None:
            found["claim"] = ClaimFound(
                state=claim.state.value, kind=claim.kind, proof=claim.proof, code=claim.code
            )
        return found | {"claimed_by": [each.slug for each in facts.claims]}


def _certificate(shown: Shown) -> CertificateFound:
    return CertificateFound(
        id=shown.id,
        names=list(shown.names),
        why=shown.why,
        covers=shown.covers,
        key_type=shown.key_type,
        state=shown.standing.stage if shown.standing is not None else None,
        not_after=moment(shown.not_after),
        beside=[each.id for each in shown.beside],
    )


def _matter(matter: Matter) -> MatterTold:
    return MatterTold(
        kind=matter.kind,
        tenant=matter.tenant,
        subject=matter.subject,
        at=moment(matter.at),
        sentence=matter.sentence,
    )
