"""Wishes: many tenants at once, judged, planned and carried out, on both databases."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from router.errors import Conflict
from router.hostname import Hostname
from router.storage.bell import PollBell
from router.tenants.branding import BrandingForm
from router.tenants.claims import ClaimState
from router.tenants.entry import entry_of
from router.tenants.form import Offered, TenantForm
from router.tenants.forwarding import ForwardingForm
from router.tenants.registry import Registry
from router.tenants.wishes import Draft, Wish, Wishes, wish_of
from tests.tenants.test_registry import audited, counted, recorded

if TYPE_CHECKING:
    from router.storage.database import Database

FORM = TenantForm("Acme Tools", "#0B6E4F", ["http://1.1.1.1:8080"])
OFFERED = Offered(frozenset({"default"}), frozenset({"en", "de"}))


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry that refuses private upstreams."""
    platform = Hostname.parse("portal.example")
    return Registry(
        database, PollBell(), platform_domain=platform, allow_private_upstreams=False, offered=OFFERED
    )


@pytest.fixture
def wishes(registry: Registry) -> Wishes:
    """What wishes are made of."""
    return Wishes(registry)


async def done(wishes: Wishes, *wished: Wish, at_once: int = 10) -> Draft:
    """Have wishes come true."""
    draft = await wishes.draft(wished)
    assert not draft.faults
    assert await wishes.carry_out(draft.orders, actor="cli:test", at_once=at_once) == []
    return draft


async def test_many_are_added_in_one_transaction_as_each_would_be_alone(
    registry: Registry, wishes: Wishes, database: Database
) -> None:
    """Tenants, claims, audit and changes are there for each, as Registry.add writes them."""
    await registry.add("alone", FORM, actor="cli:test")
    alone = (await audited(database))[0][3]
    before = len(await recorded(database))
    await done(wishes, *(Wish(f"t{each}", FORM) for each in range(20)))
    assert [record.tenant.slug for record in await registry.list()] == sorted(
        ["alone", *(f"t{each}" for each in range(20))]
    )
    lines = (await audited(database))[1:]
    assert [(actor, action) for actor, action, *_ in lines] == [("cli:test", "tenant.add")] * 20
    told = {line[3]["slug"]: line[3] for line in lines}
    expected = {name: value for name, value in alone.items() if name not in ("slug", "claims")}
    assert {name: value for name, value in told["t7"].items() if name not in ("slug", "claims")} == expected
    assert told["t7"]["claims"] == {"t7.portal.example": "active"}
    named = {key for kind, key in (await recorded(database))[before:] if kind == "hostname"}
    assert named == {f"t{each}.portal.example" for each in range(20)}


async def test_the_same_wish_again_is_nothing_to_do(wishes: Wishes, database: Database) -> None:
    """Nothing is written the second time, not even to the audit."""
    wish = Wish("acme", TenantForm("Acme", "#0B6", ["http://1.1.1.1:80"], "b.acme.example", behind_cdn=True))
    await done(wishes, wish)
    before = await counted(database)
    again = await wishes.draft([wish])
    assert [(step.act, step.differences) for step in again.steps] == [("unchanged", ())]
    assert again.orders == []
    assert await counted(database) == before


async def test_what_was_written_of_a_tenant_is_a_wish_for_what_it_is(
    registry: Registry, wishes: Wishes
) -> None:
    """An export is applied without a change: whatever was filled in, and while a hostname is on its way."""
    form = TenantForm(
        "Acme", "#0B6", ["http://1.1.1.1:80 weight=3", "https://1.0.0.1"], "a.acme.example",
        behind_cdn=True, allow_registration=True, registration_check="https://1.1.1.1/check",
        public_paths=["/help"],
        branding=BrandingForm(greeting="Hi", language="de", support_email="help@acme.example"),
        forwarding=ForwardingForm(
            max_body="10MiB", balance="least-connections", answer_fields=["X-A: b"], keep_host=False,
            websocket_origins=["https://a.example"],
        ),
    )  # fmt: skip
    await registry.add("acme", form, actor="cli:test")
    await registry.activate_domain("a.acme.example", reason="known", actor="cli:test")
    record = await registry.change("acme", TenantForm(external_domain="b.acme.example"), actor="cli:test")
    await registry.suspend("acme", actor="cli:test")
    assert {claim.state for claim in record.claims} == {ClaimState.ACTIVE, ClaimState.PENDING}
    record = await registry.get("acme")
    entry = entry_of(record.tenant, record.claims)
    assert (entry.external_domain, entry.suspended) == ("b.acme.example", True)
    draft = await wishes.draft([wish_of(entry)])
    assert (draft.faults, draft.orders) == ((), [])


async def test_what_an_entry_does_not_say_is_as_by_default_and_what_a_form_does_not_say_stays(
    registry: Registry, wishes: Wishes
) -> None:
    """A file says everything about a tenant, a line of a table only what is in its cells."""
    await done(wishes, Wish("acme", TenantForm("Acme", "#0B6", ["http://1.1.1.1:80"], "a.acme.example",
                                              branding=BrandingForm(greeting="Hi"))))  # fmt: skip
    draft = await done(wishes, Wish("acme", TenantForm(name="Acme Inc."), suspended=True))
    assert [each.field for each in draft.steps[0].differences] == ["name", "suspended"]
    record = await registry.get("acme")
    assert (record.tenant.branding.greeting, record.tenant.status) == ("Hi", "suspended")
    entry = entry_of(record.tenant, record.claims)
    bare = type(entry)(slug="acme", name="Acme Inc.", theme_colour="#00bb66", upstreams=["http://1.1.1.1:80"])
    draft = await done(wishes, wish_of(bare))
    assert [each.field for each in draft.steps[0].differences] == [
        "external_domain",
        "suspended",
        "branding.greeting",
    ]
    record = await registry.get("acme")
    assert entry_of(record.tenant, record.claims) == bare


async def test_every_fault_of_every_wish_is_told_and_nothing_is_changed(
    registry: Registry, wishes: Wishes, database: Database
) -> None:
    """Each with the wish that it is in, its field, and a code; the sound ones are planned."""
    await registry.add("gone", FORM, actor="cli:test")
    await registry.delete("gone", actor="cli:test")
    before = await counted(database)
    draft = await wishes.draft(
        [
            Wish("good", FORM),
            Wish("-x", TenantForm("", "red", ["http://127.0.0.1:1", "http://1.1.1.1", "ftp://x"])),
            Wish("good", FORM),
            Wish("gone", FORM),
            Wish("new", TenantForm("New")),
            Wish("odd", TenantForm("Odd", "#123", ["http://1.1.1.1"], branding=BrandingForm(theme="nope"))),
        ]
    )
    assert [(fault.position, fault.field, fault.code) for fault in draft.faults] == [
        (1, "slug", "bad_slug"),
        (1, "name", "bad_name"),
        (1, "theme_colour", "bad_colour"),
        (1, "upstreams[0]", "private_upstream"),
        (1, "upstreams[2]", "bad_upstream"),
        (2, "slug", "duplicate_slug"),
        (3, "slug", "slug_given_up"),
        (4, "theme_colour", "missing_field"),
        (4, "upstreams", "missing_field"),
        (5, "branding.theme", "unknown_theme"),
    ]
    assert [step.slug for step in draft.steps] == ["good"]
    assert await counted(database) == before


async def test_what_somebody_changed_meanwhile_is_not_overwritten(registry: Registry, wishes: Wishes) -> None:
    """The others of its transaction are carried out all the same, and it is told."""
    await done(wishes, Wish("a", FORM), Wish("b", FORM), Wish("c", FORM))
    wished = [Wish(slug, TenantForm(name="New")) for slug in ("a", "b", "c", "d")]
    wished[3] = Wish("d", FORM)
    draft = await wishes.draft(wished)
    await registry.change("b", TenantForm(name="Theirs"), actor="cli:other")
    await registry.add("d", TenantForm("Theirs", "#123", ["http://1.1.1.1:1"]), actor="cli:other")
    heard: list[int] = []
    failures = await wishes.carry_out(draft.orders, actor="cli:test", at_once=30, on_done=heard.append)
    assert sorted((failure.slug, failure.code) for failure in failures) == [
        ("b", "changed_meanwhile"),
        ("d", "changed_meanwhile"),
    ]
    assert sum(heard) == 4
    names = {record.tenant.slug: record.tenant.branding.name for record in await registry.list()}
    assert names == {"a": "New", "b": "Theirs", "c": "New", "d": "Theirs"}


async def test_a_transaction_is_whole_or_nothing(registry: Registry, wishes: Wishes) -> None:
    """Where one of several cannot be written, none is."""
    draft = await wishes.draft([Wish("a", FORM), Wish("b", FORM)])
    await registry.add("b", FORM, actor="cli:other")
    with pytest.raises(Conflict):
        await registry.write(draft.orders, actor="cli:test")
    assert [record.tenant.slug for record in await registry.list()] == ["b"]


async def test_a_host_is_asked_for_once_however_many_upstreams_name_it(
    wishes: Wishes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand tenants of one backend cost one question to the resolver, and a draft later asks again."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:  # noqa: ANN401 - as the loop's
        asked.append(host)
        await asyncio.sleep(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    wished = [
        Wish(f"t{each}", TenantForm("T", "#123", ["http://erp.example.com:80"])) for each in range(1000)
    ]
    judged: list[None] = []
    assert not (await wishes.draft(wished, lambda: judged.append(None))).faults
    assert (asked, len(judged)) == (["erp.example.com"], 1000)
    await wishes.draft(wished[:1])
    assert asked == ["erp.example.com"] * 2
