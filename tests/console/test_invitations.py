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


async def test_invitations_are_listed_resent_and_withdrawn(stand: Stand) -> None:
    """The latest sent first, in pieces; each stands as the list says, and what is over stays over."""
    stand.billing.token = await stand.new_token(stand.acme, "invitations", "users:read")
    made = []
    for number in range(3):
        answer = await stand.billing.post("acme/invitations", {**WISH, "email": f"ann{number}@x.example"})
        made.append(answer.data["id"])
        stand.now += 60
    first = await stand.billing.send("GET", "acme/invitations?limit=2")
    rest = await stand.billing.send("GET", f"acme/invitations?limit=2&after={first.data['next']}")
    assert [each["id"] for each in (*first.data["items"], *rest.data["items"])] == made[::-1]
    assert rest.data["next"] is None
    resent = await stand.billing.send("POST", f"acme/invitations/{made[0]}/resend")
    assert (resent.status, resent.data["status"]) == (200, "open")
    assert resent.data["sent_at"] > resent.data["created_at"]
    withdrawn = await stand.billing.send("POST", f"acme/invitations/{made[1]}/revoke")
    assert (withdrawn.status, withdrawn.data["status"]) == (200, "revoked")
    again = await stand.billing.send("POST", f"acme/invitations/{made[1]}/resend")
    assert (again.status, again.code) == (409, "invitation_revoked")

    async def standing(status: str) -> list[str]:
        answer = await stand.billing.send("GET", f"acme/invitations?status={status}")
        return [each["id"] for each in answer.data["items"]]

    assert await standing("open") == [made[0], made[2]]
    assert await standing("revoked") == [made[1]]
    assert await standing("accepted") == await standing("expired") == []
    stand.now += 8 * 86_400
    assert await standing("expired") == [made[0], made[2]]
    assert (await stand.billing.send("GET", "acme/invitations?status=lost")).code == "invalid_query"


async def test_another_tenants_invitation_does_not_exist(stand: Stand) -> None:
    """By its id below one's own tenant: the same as one that never was."""
    stand.billing.token = await stand.new_token(None, "invitations")
    theirs = (await stand.billing.post("globex/invitations", WISH)).data["id"]
    stand.billing.token = stand.token
    for name in (theirs, "inv_none", "%C3%BC"):
        for deed in ("resend", "revoke"):
            answer = await stand.billing.send("POST", f"acme/invitations/{name}/{deed}")
            assert (answer.status, answer.code) == (404, "no_such_invitation")
