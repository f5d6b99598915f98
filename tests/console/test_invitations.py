"""Inviting by the API: the mail is queued, the invitation told, and nothing can be slipped in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from router.storage.outbox import HOURLY
from router.storage.schema import invitations, outbox

if TYPE_CHECKING:
    from tests.console.stand import Stand

WISH = {"email": "Ada@Customer.example", "customer": "C-1001", "language": "de-AT"}


async def test_an_invitation_is_sent(stand: Stand) -> None:
    """201 with what was made of it; the mail waits in the nearest language there is."""
    answer = await stand.billing.post("acme/invitations", WISH)
    assert answer.status == 201
    made = answer.data
    assert (made["email"], made["customer"], made["language"]) == ("ada@customer.example", "C-1001", "de")
    assert made["status"] == "open"
    async with stand.database.read() as connection:
        [row] = (await connection.execute(select(invitations))).mappings().all()
        [mail] = (await connection.execute(select(outbox))).mappings().all()
    assert (row["id"], row["tenant_id"]) == (made["id"], stand.acme.id)
    assert row["invited_by"].startswith("token:tok_")
    assert (mail["kind"], mail["recipient"], mail["language"]) == ("invitation", "ada@customer.example", "de")


async def test_a_tenant_without_registration_invites_too(stand: Stand) -> None:
    """That is how people come in there."""
    stand.billing.token = await stand.new_token(stand.globex)
    assert (await stand.billing.post("globex/invitations", WISH)).status == 201


async def test_again_is_the_same_invitation(stand: Stand) -> None:
    """The mail goes out once more, as often as anyone gets mail: 409 after that."""
    answers = [await stand.billing.post("acme/invitations", WISH) for _ in range(HOURLY + 1)]
    assert [answer.status for answer in answers] == [201] * HOURLY + [409]
    assert len({answer.data["id"] for answer in answers[:-1]}) == 1
    assert answers[-1].code == "enough_mail"


@pytest.mark.parametrize("field", ["tenant_id", "tenant", "role", "accepted_at", "invited_by", "id"])
async def test_nothing_else_can_be_said(stand: Stand, field: str) -> None:
    """A field that is not asked for is a fault, not a way in (THREATS 66, 79)."""
    answer = await stand.billing.post("acme/invitations", {**WISH, field: stand.globex.id})
    assert (answer.status, answer.code) == (422, "invalid_body")
    [error] = answer.data["errors"]
    assert (error["pointer"], error["code"]) == (f"#/{field}", "unknown_field")
