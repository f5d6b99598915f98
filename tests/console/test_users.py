"""Users and their sessions by the API: told in pieces, changed one at a time, and each change audited."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from sqlalchemy import select

from router.storage.schema import audit

if TYPE_CHECKING:
    from router.identity.session import Session
    from router.identity.user import User
    from tests.console.stand import Stand

PASSWORD = "correct horse battery"


async def _user(stand: Stand, email: str = "ada@customer.example", customer: str = "C-1001") -> User:
    return await stand.use_cases.users.add(stand.acme.id, email, customer, PASSWORD, actor="test")


async def _session(stand: Stand, user: User) -> Session:
    _, session = await stand.use_cases.sessions.start(
        user.tenant_id, user, address="192.0.2.7", user_agent="a browser", now=stand.now
    )
    return session


async def _audited(stand: Stand) -> list[tuple[str, str, str | None, str | None]]:
    """What a token did: action, actor, tenant and from where."""
    told = select(audit).where(audit.c.actor.startswith("token:")).order_by(audit.c.sequence)
    async with stand.database.read() as connection:
        rows = (await connection.execute(told)).all()
    return [(row.action, row.actor[:10], row.tenant_id, row.address) for row in rows]


@pytest.fixture
async def reader(stand: Stand) -> Stand:
    """A stand whose caller may read and write users."""
    stand.billing.token = await stand.new_token(stand.acme, "users:read", "users:write")
    return stand


async def test_users_are_listed_in_pieces(reader: Stand) -> None:
    """By address; the cursor leads on to the end, and a search narrows it."""
    for number in range(5):
        await _user(reader, f"ann{number}@customer.example", f"C-{number}")
    await reader.use_cases.users.add(reader.globex.id, "zoe@globex.test", "C-1", PASSWORD, actor="test")
    seen, after = [], ""
    while True:
        answer = await reader.billing.send("GET", f"acme/users?limit=2{after}")
        assert answer.status == 200
        seen += [item["email"] for item in answer.data["items"]]
        if answer.data["next"] is None:
            break
        after = f"&after={answer.data['next']}"
    assert seen == [f"ann{number}@customer.example" for number in range(5)]
    found = await reader.billing.send("GET", "acme/users?search=c-3")
    [item] = found.data["items"]
    assert set(item) == {"id", "email", "customers", "language", "disabled"}
    assert (item["email"], item["customers"]) == ("ann3@customer.example", ["C-3"])
    for query, code in (
        ("after=x", "bad_cursor"),
        ("search=%00", "bad_search"),
        ("limit=0", "invalid_query"),
    ):
        refused = await reader.billing.send("GET", f"acme/users?{query}")
        assert (refused.status, refused.code) == (422, code)


async def test_a_user_is_shown_disabled_and_enabled(reader: Stand) -> None:
    """Disabled: every session ends; each change says who, from where; the same again is no change."""
    user = await _user(reader)
    await _session(reader, user)
    shown = await reader.billing.send("GET", f"acme/users/{user.id}")
    assert (shown.status, shown.data["customers"], shown.data["disabled"]) == (200, ["C-1001"], False)
    for _ in range(2):
        disabled = await reader.billing.send("POST", f"acme/users/{user.id}/disable")
        assert (disabled.status, disabled.data["disabled"]) == (200, True)
    assert await reader.use_cases.sessions.of_user(user.id) == []
    listed = await reader.billing.send("GET", "acme/users?disabled=true")
    assert [item["id"] for item in listed.data["items"]] == [user.id]
    enabled = await reader.billing.send("POST", f"acme/users/{user.id}/enable")
    assert enabled.data["disabled"] is False
    whence = ("token:tok_", reader.acme.id, "203.0.113.7")
    assert await _audited(reader) == [("user.disable", *whence), ("user.enable", *whence)]


async def test_customers_come_and_go(reader: Stand) -> None:
    """One more, and one less; a reference may hold what a path has to encode."""
    user, odd = await _user(reader), "A/7 #1?"
    joined = await reader.billing.post(f"acme/users/{user.id}/customers", {"customer": odd})
    assert (joined.status, joined.data["customers"]) == (200, sorted(["C-1001", odd]))
    left = await reader.billing.send("DELETE", f"acme/users/{user.id}/customers/{quote(odd, safe='')}")
    assert (left.status, left.body) == (204, b"")
    again = await reader.billing.send("DELETE", f"acme/users/{user.id}/customers/{quote(odd, safe='')}")
    assert (again.status, again.code) == (404, "no_such_membership")
    bad = await reader.billing.post(f"acme/users/{user.id}/customers", {"customer": ""})
    assert (bad.status, bad.data["errors"][0]["code"]) == (422, "bad_customer")


async def test_sessions_are_listed_and_ended(reader: Stand) -> None:
    """One, all of a user's, all of a tenant's; one that is not there is said to be none."""
    ada, bob = await _user(reader), await _user(reader, "bob@customer.example")
    sessions = [await _session(reader, ada) for _ in range(4)]
    await _session(reader, bob)
    first = await reader.billing.send("GET", f"acme/users/{ada.id}/sessions?limit=3")
    rest = await reader.billing.send("GET", f"acme/users/{ada.id}/sessions?after={first.data['next']}")
    assert rest.data["next"] is None
    listed = [*first.data["items"], *rest.data["items"]]
    assert sorted(item["id"] for item in listed) == sorted(session.id for session in sessions)
    assert all(session.key not in str(listed) for session in sessions)
    path = f"acme/users/{ada.id}/sessions/{sessions[0].id}"
    assert (await reader.billing.send("DELETE", path)).status == 204
    for gone in (path, f"acme/users/{bob.id}/sessions/{sessions[1].id}", f"{path}x", f"{path}%C3%BC"):
        answer = await reader.billing.send("DELETE", gone)
        assert (answer.status, answer.code) == (404, "no_such_session")
    assert (await reader.billing.send("DELETE", f"acme/users/{ada.id}/sessions")).data == {"ended": 3}
    assert (await reader.billing.send("POST", "acme/sessions/end")).data == {"ended": 1}
    assert [line[0] for line in await _audited(reader)] == [
        "session.end",
        "user.end_sessions",
        "tenant.end_sessions",
    ]


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("POST", "/disable"),
        ("POST", "/enable"),
        ("DELETE", "/customers/C-1"),
        ("GET", "/sessions"),
        ("DELETE", "/sessions"),
        ("DELETE", "/sessions/ses_1"),
    ],
)
async def test_another_tenants_user_is_nobody(reader: Stand, method: str, rest: str) -> None:
    """Asked for below one's own tenant, another's user, nobody and nonsense are one answer."""
    zoe = await reader.use_cases.users.add(reader.globex.id, "zoe@globex.test", "C-1", PASSWORD, actor="test")
    answers = [
        await reader.billing.send(method, f"acme/users/{user_id}{rest}")
        for user_id in (zoe.id, "usr_none", "%C3%BC", "x" * 200)
    ]
    assert {(answer.status, answer.code) for answer in answers} == {(404, "no_such_user")}
    assert len({answer.body for answer in answers}) == 1
    assert await reader.use_cases.users.find(zoe.id) == zoe


async def test_reading_is_not_changing(stand: Stand) -> None:
    """A token that may read users is refused every change of them."""
    user = await _user(stand)
    stand.billing.token = await stand.new_token(stand.acme, "users:read")
    assert (await stand.billing.send("GET", f"acme/users/{user.id}")).status == 200
    for method, rest in (
        ("POST", f"users/{user.id}/disable"),
        ("DELETE", f"users/{user.id}/sessions"),
        ("POST", "sessions/end"),
    ):
        refused = await stand.billing.send(method, f"acme/{rest}")
        assert (refused.status, refused.code) == (403, "insufficient_scope")
