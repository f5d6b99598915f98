"""Registry: what operators do to tenants, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from router.errors import BadInput, Conflict, NotFound
from router.hostname import Hostname
from router.storage.bell import PollBell
from router.storage.schema import audit, changes, claims, tenants
from router.tenants.branding import BrandingForm
from router.tenants.claims import ClaimState
from router.tenants.form import MAX_PUBLIC_PATHS, MAX_UPSTREAMS, Offered, TenantForm
from router.tenants.forwarding import ForwardingForm
from router.tenants.registry import Registry
from router.tenants.rows import holder_of
from router.tenants.tenant import Forwarding, Upstream
from tests.clock import Clock

if TYPE_CHECKING:
    from router.storage.database import Database
    from router.tenants.rows import TenantRecord

PLATFORM = Hostname.parse("portal.example")
FORM = TenantForm("Acme Tools", "#0B6E4F", ["http://1.1.1.1:8080"])


@pytest.fixture
def clock() -> Clock:
    """The time, set by the test."""
    return Clock(1_700_000_000.0)


@pytest.fixture
def registry(database: Database, clock: Clock) -> Registry:
    """A registry that refuses private upstreams."""
    return Registry(
        database, PollBell(), platform_domain=PLATFORM, allow_private_upstreams=False, clock=clock
    )


async def recorded(database: Database) -> list[tuple[str, str]]:
    """Kind and key of every change, in order."""
    async with database.read() as connection:
        rows = await connection.execute(select(changes.c.kind, changes.c.key).order_by(changes.c.sequence))
        return [(kind, key) for kind, key in rows]


async def audited(database: Database) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Actor, action, subject and detail of every line of audit, in order."""
    async with database.read() as connection:
        columns = (audit.c.actor, audit.c.action, audit.c.subject, audit.c.detail)
        rows = await connection.execute(select(*columns).order_by(audit.c.sequence))
        return [(actor, action, subject, detail) for actor, action, subject, detail in rows]


async def counted(database: Database) -> tuple[int, int, int, int]:
    """How many rows there are of tenants, claims, changes and audit."""
    async with database.read() as connection:
        tables = (tenants, claims, changes, audit)
        found = [await connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]
    return (found[0], found[1], found[2], found[3])


def states(record: TenantRecord) -> dict[str, str]:
    """The state of each of a tenant's claims."""
    return {claim.hostname: claim.state.value for claim in record.claims}


async def test_a_new_tenant_answers_at_its_platform_address(registry: Registry, database: Database) -> None:
    """Its sub-domain is active at once, and everything about it is as typed."""
    record = await registry.add("acme", FORM, actor="ada")
    tenant = record.tenant
    assert tenant.slug == "acme"
    assert tenant.hostname == "acme.portal.example"
    assert (tenant.branding.name, tenant.branding.theme_colour) == ("Acme Tools", "#0b6e4f")
    assert [upstream.url for upstream in tenant.upstreams] == ["http://1.1.1.1:8080"]
    assert (tenant.status, tenant.version, tenant.allow_registration) == ("active", 1, False)
    assert states(record) == {"acme.portal.example": "active"}
    assert await registry.get("acme") == record
    assert await recorded(database) == [("tenant", tenant.id), ("hostname", "acme.portal.example")]
    ((actor, action, subject, _),) = await audited(database)
    assert (actor, action, subject) == ("ada", "tenant.add", tenant.id)


async def test_claims_made_together_stand_in_one_order(registry: Registry) -> None:
    """The sub-domain is first, then the tenant's own hostname: neither ids nor the alphabet decide."""
    for number in range(8):
        own = f"a{number}.example.com"
        record = await registry.add(f"t{number}", replace(FORM, external_domain=own), actor="ada")
        assert list(states(record)) == [f"t{number}.portal.example", own]


async def test_an_external_hostname_waits_for_an_operators_word(registry: Registry) -> None:
    """Until the claim is active, customers are given the platform address; afterwards the tenant's own."""
    form = replace(FORM, external_domain="Billing.Acme.com")
    record = await registry.add("acme", form, actor="ada")
    assert record.tenant.hostname == "acme.portal.example"
    assert states(record) == {"acme.portal.example": "active", "billing.acme.com": "pending"}
    claim = await registry.activate_domain("billing.acme.com", reason="by phone", actor="ada")
    assert (claim.state, claim.reason) == (ClaimState.ACTIVE, "by phone")
    record = await registry.get("acme")
    assert record.tenant.hostname == "billing.acme.com"
    assert states(record) == {"acme.portal.example": "active", "billing.acme.com": "active"}
    assert record.tenant.version == 2


async def test_each_tenant_has_a_cname_target_of_its_own(registry: Registry) -> None:
    """The target is a random label below customers.<platform domain>, never shared (THREATS 27)."""
    one = await registry.add("acme", FORM, actor="ada")
    two = await registry.add("globex", FORM, actor="ada")
    label, dot, rest = one.cname_target.partition(".")
    assert len(label) >= 12
    assert dot + rest == ".customers.portal.example"
    assert one.cname_target != two.cname_target


async def test_tenants_are_listed_by_their_short_names(registry: Registry) -> None:
    """The list says of each what asking for it alone says."""
    assert await registry.list() == []
    for slug in ("globex", "acme", "initech"):
        await registry.add(slug, FORM, actor="ada")
    listed = await registry.list()
    assert [record.tenant.slug for record in listed] == ["acme", "globex", "initech"]
    assert listed == [await registry.get(record.tenant.slug) for record in listed]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (TenantForm(), "missing_field"),
        (TenantForm("Acme", "#fff"), "missing_field"),
        (replace(FORM, name=" "), "bad_name"),
        (replace(FORM, theme_colour="green"), "bad_colour"),
        (replace(FORM, upstreams=[]), "bad_count"),
        (
            replace(FORM, upstreams=[f"http://1.1.1.1:{port}" for port in range(1, MAX_UPSTREAMS + 2)]),
            "bad_count",
        ),
        (replace(FORM, upstreams=["http://1.1.1.1", "http://127.0.0.1"]), "private_upstream"),
        (replace(FORM, upstreams=["file:///etc/passwd"]), "bad_upstream"),
        (replace(FORM, external_domain="*.acme.com"), "wildcard"),
        (replace(FORM, external_domain="globex.portal.example"), "under_platform"),
        (replace(FORM, public_paths=["/help", "help"]), "bad_public_path"),
        (replace(FORM, public_paths=["/a"] * (MAX_PUBLIC_PATHS + 1)), "bad_count"),
        (replace(FORM, upstreams=["http://1.1.1.1", "http://1.1.1.1:80 weight=2"]), "bad_weight"),
        (replace(FORM, forwarding=ForwardingForm(max_body="much")), "bad_max_body"),
    ],
)
async def test_a_bad_form_changes_nothing(
    form: TenantForm, code: str, registry: Registry, database: Database
) -> None:
    """Neither a tenant nor a claim, a change or a line of audit comes of it."""
    with pytest.raises(BadInput) as fault:
        await registry.add("acme", form, actor="ada")
    assert fault.value.code == code
    assert await counted(database) == (0, 0, 0, 0)


async def test_a_short_name_is_given_once(registry: Registry, database: Database) -> None:
    """A second tenant of the same short name is refused, and nothing of it stays."""
    await registry.add("acme", FORM, actor="ada")
    before = await counted(database)
    with pytest.raises(Conflict) as fault:
        await registry.add("acme", FORM, actor="ada")
    assert fault.value.code == "slug_taken"
    assert await counted(database) == before


async def test_of_two_at_once_one_gets_the_short_name(registry: Registry, database: Database) -> None:
    """A race for a short name has one winner, and the losers are told why."""
    results = await asyncio.gather(
        *(registry.add("acme", FORM, actor=f"operator {n}") for n in range(5)), return_exceptions=True
    )
    losers = [result for result in results if isinstance(result, BaseException)]
    assert [fault.code for fault in losers if isinstance(fault, Conflict)] == ["slug_taken"] * 4
    assert (await counted(database))[:2] == (1, 1)


async def test_a_change_changes_what_is_named_and_nothing_else(
    registry: Registry, database: Database, clock: Clock
) -> None:
    """Fields that are not filled in stay; the version counts up; the audit has what was before."""
    before = await registry.add("acme", replace(FORM, public_paths=["/help"]), actor="ada")
    clock.now += 60
    after = await registry.change("acme", TenantForm(theme_colour="#8A1C7C"), actor="bob")
    branding = replace(before.tenant.branding, theme_colour="#8a1c7c")
    assert after.tenant == replace(before.tenant, branding=branding, version=2)
    assert after.updated_at == before.updated_at + 60
    actor, action, _, detail = (await audited(database))[-1]
    assert (actor, action) == ("bob", "tenant.change")
    assert detail == {"theme_colour": {"from": "#0b6e4f", "to": "#8a1c7c"}}
    assert (await recorded(database))[-2:] == [
        ("tenant", after.tenant.id),
        ("hostname", "acme.portal.example"),
    ]


async def test_every_field_can_be_changed(registry: Registry) -> None:
    """Name, colour, upstreams, registration and public paths, lists as a whole."""
    await registry.add("acme", replace(FORM, public_paths=["/help"], allow_registration=True), actor="ada")
    form = TenantForm(
        name="Acme",
        theme_colour="#fff",
        upstreams=["http://1.1.1.1", "http://1.1.1.1:80", "https://8.8.8.8"],
        allow_registration=False,
        public_paths=[],
    )
    tenant = (await registry.change("acme", form, actor="ada")).tenant
    assert (tenant.branding.name, tenant.branding.theme_colour) == ("Acme", "#ffffff")
    assert [upstream.url for upstream in tenant.upstreams] == ["http://1.1.1.1:80", "https://8.8.8.8:443"]
    assert (tenant.allow_registration, tenant.public_paths) == (False, ())


FORWARDING = ForwardingForm(
    balance="least-connections",
    health_path="/healthz",
    health_interval="10",
    health_status="204",
    keep_host=False,
    rewrite_location=True,
    maintenance=True,
    max_body="10MiB",
    requests_per_second="100",
    answer_timeout="20",
    websocket_origins=["https://App.acme.com"],
    answer_fields=["X-Frame-Options: DENY"],
)
FORWARDED = Forwarding(
    balance="least_connections",
    health_path="/healthz",
    health_interval=10,
    health_status=204,
    keep_host=False,
    rewrite_location=True,
    maintenance=True,
    max_body=10 * 2**20,
    requests_per_second=100,
    answer_timeout=20,
    websocket_origins=("https://app.acme.com",),
    answer_fields=(("X-Frame-Options", "DENY"),),
)


async def test_a_tenant_says_how_it_is_forwarded(registry: Registry, database: Database) -> None:
    """Every field is kept from the first day, and the directory's question delivers it."""
    assert (await registry.add("globex", FORM, actor="ada")).tenant.forwarding == Forwarding()
    record = await registry.add("acme", replace(FORM, forwarding=FORWARDING), actor="ada")
    assert record.tenant.forwarding == FORWARDED
    assert [each.tenant.forwarding for each in await registry.list()] == [FORWARDED, Forwarding()]
    async with database.read() as connection:
        held = await holder_of(connection, "acme.portal.example")
        stored = list(await connection.scalars(select(tenants.c.forwarding).order_by(tenants.c.slug)))
    assert held == record.tenant
    assert stored[1] == {}
    _, _, _, detail = (await audited(database))[-1]
    assert detail["answer_fields"] == [["X-Frame-Options", "DENY"]]


async def test_a_field_of_forwarding_changes_alone(registry: Registry, database: Database) -> None:
    """The others stay; the audit names the field, and workers are told of the hostname."""
    before = await registry.add("acme", replace(FORM, forwarding=FORWARDING), actor="ada")
    form = TenantForm(forwarding=ForwardingForm(maintenance=False, answer_fields=[], health_interval=30))
    after = await registry.change("acme", form, actor="bob")
    forwarding = replace(FORWARDED, maintenance=False, answer_fields=(), health_interval=30)
    assert after.tenant == replace(before.tenant, forwarding=forwarding, version=2)
    _, _, _, detail = (await audited(database))[-1]
    assert detail == {
        "maintenance": {"from": True, "to": None},
        "answer_fields": {"from": [["X-Frame-Options", "DENY"]], "to": None},
        "health_interval": {"from": 10, "to": None},
    }
    assert (await recorded(database))[-1] == ("hostname", "acme.portal.example")
    counts = await counted(database)
    assert await registry.change("acme", form, actor="bob") == after
    assert await counted(database) == counts


async def test_two_fields_set_at_once_are_both_kept(registry: Registry) -> None:
    """Two operators who change different fields at the same time do not undo one another."""
    await registry.add("acme", FORM, actor="ada")
    forms = [ForwardingForm(maintenance=True), ForwardingForm(max_body=1), ForwardingForm(answer_timeout=2)]
    await asyncio.gather(
        *(registry.change("acme", TenantForm(forwarding=form), actor="ada") for form in forms)
    )
    forwarding = (await registry.get("acme")).tenant.forwarding
    assert forwarding == Forwarding(maintenance=True, max_body=1, answer_timeout=2)


async def test_weights_and_paths_of_upstreams_are_kept(registry: Registry) -> None:
    """An upstream is its address, its path and its share."""
    typed = ["http://1.1.1.1/app/ weight=3", "https://8.8.8.8"]
    tenant = (await registry.add("acme", replace(FORM, upstreams=typed), actor="ada")).tenant
    assert tenant.upstreams == (Upstream("http://1.1.1.1:80/app", 3), Upstream("https://8.8.8.8:443"))


async def test_a_platform_with_upstreams_of_its_own_asks_for_none(database: Database, clock: Clock) -> None:
    """A tenant may name none, then or later; where there are no default ones that is refused."""
    registry = Registry(
        database,
        PollBell(),
        platform_domain=PLATFORM,
        allow_private_upstreams=False,
        has_default_upstreams=True,
        clock=clock,
    )
    assert (await registry.add("acme", replace(FORM, upstreams=None), actor="ada")).tenant.upstreams == ()
    assert (await registry.add("globex", FORM, actor="ada")).tenant.upstreams != ()
    assert (await registry.change("globex", TenantForm(upstreams=[]), actor="ada")).tenant.upstreams == ()


async def test_saying_the_same_twice_is_no_change(registry: Registry, database: Database) -> None:
    """A form that says what is so already writes nothing: no version, no audit, no change."""
    form = replace(FORM, external_domain="billing.acme.com")
    record = await registry.add("acme", form, actor="ada")
    await registry.suspend("acme", actor="ada")
    await registry.resume("acme", actor="ada")
    await registry.activate_domain("billing.acme.com", reason="x", actor="ada")
    before = await counted(database)
    record = await registry.get("acme")
    assert await registry.change("acme", form, actor="ada") == record
    assert await registry.resume("acme", actor="ada") == record
    await registry.activate_domain("billing.acme.com", reason="x", actor="ada")
    assert await counted(database) == before


async def test_a_suspended_tenant_keeps_its_hostnames(registry: Registry, database: Database) -> None:
    """Suspending is a status: claims stay, and every hostname's memory is told."""
    await registry.add("acme", replace(FORM, external_domain="billing.acme.com"), actor="ada")
    record = await registry.suspend("acme", actor="ada")
    assert record.tenant.status == "suspended"
    assert states(record) == {"acme.portal.example": "active", "billing.acme.com": "pending"}
    assert set((await recorded(database))[-3:]) == {
        ("tenant", record.tenant.id),
        ("hostname", "acme.portal.example"),
        ("hostname", "billing.acme.com"),
    }
    assert (await registry.resume("acme", actor="ada")).tenant.status == "active"


async def test_a_change_of_address_has_no_gap(registry: Registry) -> None:
    """The former external hostname serves until the new one is active, and is released then."""
    await registry.add("acme", replace(FORM, external_domain="old.acme.com"), actor="ada")
    await registry.activate_domain("old.acme.com", reason="x", actor="ada")
    record = await registry.change("acme", TenantForm(external_domain="new.acme.com"), actor="ada")
    assert record.tenant.hostname == "old.acme.com"
    assert states(record)["old.acme.com"] == "active"
    assert states(record)["new.acme.com"] == "pending"
    await registry.activate_domain("new.acme.com", reason="x", actor="ada")
    record = await registry.get("acme")
    assert record.tenant.hostname == "new.acme.com"
    assert states(record)["old.acme.com"] == "released"


async def test_a_wish_that_is_taken_back_is_released(registry: Registry) -> None:
    """Going back to the address that serves releases the one that waited; a released one can be had again."""
    await registry.add("acme", replace(FORM, external_domain="old.acme.com"), actor="ada")
    await registry.activate_domain("old.acme.com", reason="x", actor="ada")
    await registry.change("acme", TenantForm(external_domain="new.acme.com"), actor="ada")
    record = await registry.change("acme", TenantForm(external_domain="old.acme.com"), actor="ada")
    assert states(record)["old.acme.com"] == "active"
    assert states(record)["new.acme.com"] == "released"
    record = await registry.change("acme", TenantForm(external_domain="new.acme.com"), actor="ada")
    assert states(record)["new.acme.com"] == "pending"


async def test_an_external_hostname_can_be_given_up(registry: Registry) -> None:
    """An empty external domain releases it, and customers are given the platform address again."""
    await registry.add("acme", replace(FORM, external_domain="billing.acme.com"), actor="ada")
    await registry.activate_domain("billing.acme.com", reason="x", actor="ada")
    record = await registry.change("acme", TenantForm(external_domain=""), actor="ada")
    assert record.tenant.hostname == "acme.portal.example"
    assert states(record)["billing.acme.com"] == "released"


async def test_many_may_claim_a_hostname_and_one_holds_it(registry: Registry) -> None:
    """A second tenant can wait for it, but not take it while the first holds it (THREATS 27, 28)."""
    form = replace(FORM, external_domain="billing.acme.com")
    await registry.add("acme", form, actor="ada")
    await registry.add("globex", form, actor="ada")
    with pytest.raises(Conflict) as fault:
        await registry.activate_domain("billing.acme.com", reason="x", actor="ada")
    assert fault.value.code == "claimed_by_several"
    await registry.activate_domain("billing.acme.com", reason="x", actor="ada", slug="acme")
    with pytest.raises(Conflict) as fault:
        await registry.activate_domain("billing.acme.com", reason="x", actor="ada", slug="globex")
    assert fault.value.code == "hostname_taken"
    assert states(await registry.get("globex"))["billing.acme.com"] == "pending"
    await registry.change("acme", TenantForm(external_domain=""), actor="ada")
    claim = await registry.activate_domain("billing.acme.com", reason="x", actor="ada")
    assert claim.slug == "globex"
    found = await registry.claims_of(Hostname.parse("billing.acme.com"))
    assert {each.slug: each.state.value for each in found} == {"acme": "released", "globex": "active"}


async def test_of_two_operators_at_once_one_activates(registry: Registry) -> None:
    """A race for a hostname has one winner, whatever the database."""
    form = replace(FORM, external_domain="billing.acme.com")
    for slug in ("acme", "globex"):
        await registry.add(slug, form, actor="ada")
    results = await asyncio.gather(
        *(
            registry.activate_domain("billing.acme.com", reason="x", actor="ada", slug=slug)
            for slug in ("acme", "globex")
        ),
        return_exceptions=True,
    )
    faults = [result for result in results if isinstance(result, BaseException)]
    assert [fault.code for fault in faults if isinstance(fault, Conflict)] == ["hostname_taken"]


@pytest.mark.parametrize(
    ("hostname", "slug", "reason", "kind", "code"),
    [
        ("nobody.acme.com", None, "x", NotFound, "claim_not_found"),
        ("billing.acme.com", "globex", "x", NotFound, "claim_not_found"),
        ("acme.portal.example", None, "x", BadInput, "under_platform"),
        ("192.0.2.1", None, "x", BadInput, "ip_address"),
        ("billing.acme.com", None, "", BadInput, "bad_reason"),
        ("billing.acme.com", None, "x" * 501, BadInput, "bad_reason"),
        ("billing.acme.com", None, "a\x1bb", BadInput, "bad_reason"),
    ],
)
async def test_an_operators_word_has_to_be_about_a_claim(
    hostname: str,
    slug: str | None,
    reason: str,
    kind: type[Exception],
    code: str,
    registry: Registry,
) -> None:
    """Only what a tenant claims can be activated, with a reason that the audit can keep."""
    await registry.add("acme", replace(FORM, external_domain="billing.acme.com"), actor="ada")
    await registry.add("globex", FORM, actor="ada")
    with pytest.raises(kind) as fault:
        await registry.activate_domain(hostname, reason=reason, actor="ada", slug=slug)
    assert getattr(fault.value, "code", None) == code


async def test_an_operators_word_is_audited(registry: Registry, database: Database) -> None:
    """Who said so, about which hostname, and why."""
    await registry.add("acme", replace(FORM, external_domain="billing.acme.com"), actor="ada")
    await registry.activate_domain("billing.acme.com", reason="  Contract\n4711 ", actor="bob")
    actor, action, _, detail = (await audited(database))[-1]
    assert (actor, action) == ("bob", "domain.activate")
    assert detail == {"hostname": "billing.acme.com", "reason": "Contract 4711", "was": "pending"}


async def test_a_tenant_that_is_not_there_is_not_found(registry: Registry) -> None:
    """Every use case says the same of an unknown short name."""
    for asked in (
        registry.get("nobody"),
        registry.change("nobody", TenantForm(name="x"), actor="ada"),
        registry.suspend("nobody", actor="ada"),
        registry.resume("nobody", actor="ada"),
    ):
        with pytest.raises(NotFound) as fault:
            await asked
        assert fault.value.code == "tenant_not_found"


async def test_changes_at_once_are_both_kept(registry: Registry) -> None:
    """Two operators who change different fields at the same time do not undo one another."""
    await registry.add("acme", FORM, actor="ada")
    await asyncio.gather(
        registry.change("acme", TenantForm(name="Acme"), actor="ada"),
        registry.change("acme", TenantForm(theme_colour="#fff"), actor="bob"),
    )
    tenant = (await registry.get("acme")).tenant
    assert (tenant.branding.name, tenant.branding.theme_colour, tenant.version) == ("Acme", "#ffffff", 3)


async def test_every_field_at_fault_is_named(registry: Registry, database: Database) -> None:
    """Whoever fills a form in hears of all its faults, each by its field; the first is raised."""
    form = TenantForm(
        name="",
        theme_colour="green",
        upstreams=["http://1.1.1.1:8080", "ftp://x", "http://127.0.0.1:1"],
        external_domain="*.acme.example",
        public_paths=["/help", "/-/x"],
        registration_check="nowhere",
        forwarding=ForwardingForm(health_interval=1, websocket_origins=["https://a.example", "b"]),
        branding=BrandingForm(support_url="x", logo=b"no picture"),
    )
    with pytest.raises(BadInput) as caught:
        await registry.add("www", form, actor="test")
    assert [(each.field, each.code) for each in caught.value.faults] == [
        ("portal_address", "reserved_name"),
        ("name", "bad_name"),
        ("theme_colour", "bad_colour"),
        ("public_paths/1", "bad_public_path"),
        ("registration_check", "bad_url"),
        ("forwarding/health_interval", "bad_health_interval"),
        ("forwarding/websocket_origins/1", "bad_websocket_origin"),
        ("branding/support_url", "bad_url"),
        ("branding/logo", "bad_picture"),
        ("external_domain", "wildcard"),
        ("upstreams/1", "bad_upstream"),
        ("upstreams/2", "private_upstream"),
    ]
    assert await counted(database) == (0, 0, 0, 0)


async def test_what_a_new_tenant_lacks_is_named(registry: Registry) -> None:
    """All that is missing is told at once; an empty field is a fault of its own and not missing."""
    with pytest.raises(BadInput) as caught:
        await registry.add("acme", TenantForm(name=""), actor="test")
    told = [(each.field, each.code) for each in caught.value.faults]
    assert told == [
        ("name", "bad_name"),
        ("theme_colour", "missing_field"),
        ("upstreams", "missing_field"),
    ]


async def test_only_what_is_offered_can_be_chosen(database: Database) -> None:
    """A theme that has a fault, or that there is not, would leave the portal without its looks."""
    registry = Registry(
        database,
        PollBell(),
        platform_domain=PLATFORM,
        allow_private_upstreams=False,
        offered=Offered(frozenset({"default"}), frozenset({"en", "de"})),
    )
    await registry.add("acme", replace(FORM, branding=BrandingForm(language="de", theme="")), actor="test")
    for looks, code, field in (
        (BrandingForm(theme="plain"), "unknown_theme", "branding/theme"),
        (BrandingForm(language="it"), "unknown_language", "branding/language"),
    ):
        with pytest.raises(BadInput) as caught:
            await registry.change("acme", TenantForm(branding=looks), actor="test")
        assert (caught.value.code, caught.value.field) == (code, field)


async def test_a_version_that_was_seen_is_the_one_that_is_changed(registry: Registry) -> None:
    """Of two who change the same version, the second is told; nothing of theirs is done."""
    seen = (await registry.add("acme", FORM, actor="first")).tenant.version
    changed = await registry.change("acme", TenantForm(name="First"), actor="first", version=seen)
    attempts = (
        registry.change("acme", TenantForm(name="Second"), actor="second", version=seen),
        registry.suspend("acme", actor="second", version=seen),
        registry.resume("acme", actor="second", version=seen),
        registry.delete("acme", actor="second", version=seen),
    )
    for attempt in attempts:
        with pytest.raises(Conflict) as caught:
            await attempt
        assert caught.value.code == "changed_meanwhile"
    assert await registry.get("acme") == changed
    suspended = await registry.suspend("acme", actor="second", version=changed.tenant.version)
    assert suspended.tenant.status == "suspended"
    await registry.delete("acme", actor="second", version=suspended.tenant.version)
