"""The line on an invoice: asked for by a billing system, the same each time, and taken back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from router.identity.invoice_links import LIFE, InvoiceLink
from router.storage.schema import audit, registration_links
from router.tenants.form import TenantForm

if TYPE_CHECKING:
    from tests.console.stand import Stand

LINE = "acme/invoice-line"


def token_in(url: str) -> str:
    """The token of a registration URL."""
    before, _, token = url.partition("?t=")
    assert before == "https://acme.portal.example:8443/-/register"
    return token


async def test_the_answer_has_all_that_an_invoice_needs(stand: Stand) -> None:
    """The portal's address as customers see it, the personal link, and both forms of the line."""
    answer = await stand.billing.post(LINE, {"customer": "C-1001"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    line = answer.data
    assert line["registration"] is True
    assert line["portal_url"] == "https://acme.portal.example:8443/"
    expires = datetime.fromtimestamp(stand.now + LIFE, UTC)
    assert line["expires_at"] == expires.isoformat().replace("+00:00", "Z")
    assert line["registration_url"] in line["text"]
    assert line["registration_url"] in line["html"]
    assert "Acme & Söhne" in line["text"]
    assert "Acme &amp; Söhne" in line["html"]
    assert line["language"] == "en"
    assert set(line) == {
        "registration", "portal_url", "registration_url", "registration_link_id",
        "expires_at", "text", "html", "language",
    }  # fmt: skip


async def test_the_link_is_for_that_customer_at_that_tenant(stand: Stand) -> None:
    """What the page behind it will find is the customer and the address that the billing system named."""
    wish = {"customer": "C-1001", "email": "Ada@Customer.example"}
    line = (await stand.billing.post(LINE, wish)).data
    token = token_in(line["registration_url"])
    found = await stand.links.look(stand.acme.id, token)
    assert isinstance(found, InvoiceLink)
    assert (found.id, found.customer, found.email) == (
        line["registration_link_id"],
        "C-1001",
        "ada@customer.example",
    )
    assert await stand.links.look(stand.globex.id, token) == "unknown"


async def test_asked_again_it_is_the_same_line(stand: Stand) -> None:
    """A billing system may repeat itself, also twice at once; another customer's or address's is another."""
    first = await stand.billing.post(LINE, {"customer": "C-1001"})
    again = await asyncio.gather(*(stand.billing.post(LINE, {"customer": "C-1001"}) for _ in range(4)))
    assert {answer.body for answer in again} == {first.body}
    bound = await stand.billing.post(LINE, {"customer": "C-1001", "email": "ada@customer.example"})
    other = await stand.billing.post(LINE, {"customer": "C-1002"})
    assert len({answer.data["registration_url"] for answer in (first, bound, other)}) == 3


async def test_without_registration_there_is_no_link(stand: Stand) -> None:
    """The line then says where the portal is, and nothing is written."""
    stand.billing.token = await stand.new_token(stand.globex)
    line = (await stand.billing.post("globex/invoice-line", {"customer": "C-1001"})).data
    assert line["registration"] is False
    assert [line[name] for name in ("registration_url", "registration_link_id", "expires_at")] == [None] * 3
    assert line["portal_url"] == "https://globex.portal.example:8443/"
    assert line["text"].endswith(line["portal_url"])
    assert "/-/register" not in line["text"] + line["html"]
    async with stand.database.read() as connection:
        assert (await connection.execute(select(registration_links))).all() == []


async def test_the_tenants_own_hostname_is_given_once_it_is_active(stand: Stand) -> None:
    """Links lead where the tenant's customers know it to be, never to what the call was sent to."""
    await stand.registry.change("acme", TenantForm(external_domain="billing.acme.test"), actor="test")
    await stand.registry.activate_domain("billing.acme.test", reason="a test", actor="test")
    answer = await stand.billing.post(
        LINE, {"customer": "C-1"}, {"Host": "evil.example", "X-Forwarded-Host": "e"}
    )
    line = answer.data
    assert line["portal_url"] == "https://billing.acme.test:8443/"
    assert line["registration_url"].startswith("https://billing.acme.test:8443/-/register?t=")


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de"),
        ("fr_CA", "fr"),
        ("es", "es"),
        ("en-GB", "en"),
        ("it", "en"),
    ],
)
async def test_the_line_is_in_the_customers_language(stand: Stand, asked: str, spoken: str) -> None:
    """Or in the nearest there is; the answer says which, for the e-mail's own markup."""
    line = (await stand.billing.post(LINE, {"customer": "C-1001", "language": asked})).data
    assert line["language"] == spoken
    assert f'<p lang="{spoken}">' in line["html"]


async def test_a_link_is_taken_back(stand: Stand) -> None:
    """It opens nothing any more, the next line has another; again is no fault, and the audit has one line."""
    line = (await stand.billing.post(LINE, {"customer": "C-1001"})).data
    path = f"acme/registration-links/{line['registration_link_id']}"
    for _ in range(2):
        answer = await stand.billing.send("DELETE", path)
        assert (answer.status, answer.body) == (204, b"")
    assert await stand.links.look(stand.acme.id, token_in(line["registration_url"])) == "voided"
    after = (await stand.billing.post(LINE, {"customer": "C-1001"})).data
    assert after["registration_url"] != line["registration_url"]
    async with stand.database.read() as connection:
        actors = await connection.scalars(select(audit.c.actor).where(audit.c.action.like("registration%")))
        [actor] = actors.all()
    assert str(actor).startswith("token:tok_")


async def test_nobody_takes_back_anothers_link(stand: Stand) -> None:
    """It does not exist for them, and stays good (THREATS 79)."""
    line = (await stand.billing.post(LINE, {"customer": "C-1001"})).data
    stand.billing.token = await stand.new_token(stand.globex)
    answer = await stand.billing.send("DELETE", f"globex/registration-links/{line['registration_link_id']}")
    assert (answer.status, answer.code) == (404, "no_such_link")
    found = await stand.links.look(stand.acme.id, token_in(line["registration_url"]))
    assert isinstance(found, InvoiceLink)
