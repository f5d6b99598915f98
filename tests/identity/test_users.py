from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from router.errors import BadInput, Conflict, NotFound
from router.identity.users import normalise_email, parse_customer
from router.storage.schema import audit, changes, tenants, users
from tests.identity.conftest import GOOD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.identity.conftest import Worker


@pytest.mark.parametrize(
    ("raw", "email"),
    [
        ("mary@acme.test", "mary@acme.test"),
        ("  Mary.Jones+Bills@ACME.Test ", "mary.jones+bills@acme.test"),
        ("o'neil@acme.test", "o'neil@acme.test"),
        ("mary@bücher.example", "mary@xn--bcher-kva.example"),
        ("mary@xn--bcher-kva.example", "mary@xn--bcher-kva.example"),
    ],
)
def test_email_has_one_spelling(raw: str, email: str) -> None:
    """Case, outer spaces and the spelling of an international domain make no other address."""
    assert normalise_email(raw) == email


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "mary",
        "@acme.test",
        "mary@",
        "a@x@y.test",
        "mary@acme.test\r\nBcc: all@acme.test",
        "mary\n@acme.test",
        "mary jones@acme.test",
        "mary@acme .test",
        "mary..jones@acme.test",
        ".mary@acme.test",
        '"mary"@acme.test',
        "m\u0430ry@acme.test",  # the Cyrillic letter that looks like an a
        "ﬁona@acme.test",
        "\u212aate@acme.test",  # the Kelvin sign, whose lower case is k
        "mary@[192.0.2.7]",
        "mary@192.0.2.7",
        "mary@acme.test.",
        "mary@acme_test",
        "m\x00ary@acme.test",
        "x" * 65 + "@acme.test",
        "mary@" + "x." * 125 + "test",
        "mary@acme.test" + " " * 1000,
    ],
)
def test_what_is_no_address_is_refused(raw: str) -> None:
    """Everything but one plain address is refused with a code: lists, control characters, look-alikes."""
    with pytest.raises(BadInput) as caught:
        normalise_email(raw)
    assert caught.value.code == "bad_email"


@given(st.text(max_size=300))
def test_normalising_twice_changes_nothing(raw: str) -> None:
    """A normalised address is its own normal form and fits a header; whatever else is BadInput."""
    try:
        email = normalise_email(raw)
    except BadInput:
        return
    assert normalise_email(email) == email
    assert email.isascii()
    assert email.isprintable()
    assert " " not in email


@pytest.mark.parametrize("raw", ["C-1001", "7", "Müller".encode().hex(), "a b", "x" * 80])
def test_customer_reference_is_kept_as_it_is(raw: str) -> None:
    """A reference of printable ASCII characters is the backend's business."""
    assert parse_customer(raw) == raw


@pytest.mark.parametrize("raw", ["", " C-1", "C-1 ", "C\r\n1", "Müller", "x" * 81, "C\x7f"])
def test_customer_reference_that_no_header_can_carry_is_refused(raw: str) -> None:
    """Control characters, other alphabets and outer spaces are refused."""
    with pytest.raises(BadInput) as caught:
        parse_customer(raw)
    assert caught.value.code == "bad_customer"


async def test_user_is_added_and_found(worker: Worker) -> None:
    """A user is found by id and by e-mail address, and only a hash of the password is stored."""
    mary = await worker.users.find_by_email("tnt_1", "mary@acme.test")
    assert mary is not None
    assert await worker.users.find(mary.id) == mary
    assert [user.id for user in await worker.users.of_tenant("tnt_1")] == [mary.id]
    async with worker.database.read() as connection:
        stored = (await connection.execute(select(users))).one()
    assert GOOD not in str(stored)
    assert stored.password_hash.startswith("$argon2id$")
    assert mary.password_hash not in repr(mary)


async def test_address_is_taken_once_in_a_tenant(
    worker: Worker, add_tenant: Callable[[str], Awaitable[None]]
) -> None:
    """The same address is a conflict at the same tenant, in any spelling, and another user at another."""
    with pytest.raises(Conflict) as caught:
        await worker.users.add("tnt_1", "MARY@acme.test", "C-2", GOOD, actor="test")
    assert caught.value.code == "email_taken"
    await add_tenant("tnt_2")
    other = await worker.users.add("tnt_2", "mary@acme.test", "C-1001", GOOD, actor="test")
    assert (await worker.users.find_by_email("tnt_2", "mary@acme.test")) == other


@pytest.mark.parametrize(
    ("tenant", "email", "customer", "password", "code"),
    [
        ("tnt_9", "joe@acme.test", "C-1", GOOD, "no_such_tenant"),
        ("tnt_1", "joe", "C-1", GOOD, "bad_email"),
        ("tnt_1", "joe@acme.test", "", GOOD, "bad_customer"),
        ("tnt_1", "joe@acme.test", "C-1", "short", "password_too_short"),
        ("tnt_1", "joe@acme.test", "C-1", "Password123", "password_common"),
        ("tnt_1", "joe@acme.test", "C-1", "my blue fjord", "password_personal"),
    ],
)
async def test_bad_user_changes_nothing(
    worker: Worker, tenant: str, email: str, customer: str, password: str, code: str
) -> None:
    """What is wrong with a new user is said with a code, and nobody was added."""
    with pytest.raises((BadInput, NotFound)) as caught:
        await worker.users.add(tenant, email, customer, password, actor="test")
    assert caught.value.code == code
    assert len(await worker.users.of_tenant("tnt_1")) == 1


async def test_a_portals_own_name_makes_no_password(worker: Worker) -> None:
    """What a portal is called instead of its company's name is as easily guessed, and refused like that."""
    async with worker.database.write() as connection:
        await connection.execute(update(tenants).values(branding={"portal_name": "Blaues Tor"}))
    mary = (await worker.users.of_tenant("tnt_1"))[0]
    with pytest.raises(BadInput) as caught:
        await worker.users.set_password(mary.id, "mein blaues tor", actor="test")
    assert caught.value.code == "password_personal"


async def test_changes_are_recorded(worker: Worker) -> None:
    """Each change to a user is told to every worker."""
    mary = (await worker.users.of_tenant("tnt_1"))[0]
    await worker.users.disable(mary.id, actor="test")
    await worker.users.enable(mary.id, actor="test")
    await worker.users.set_password(mary.id, "another-good-one-77", actor="test")
    async with worker.database.read() as connection:
        told = await connection.scalars(select(changes.c.key).where(changes.c.kind == "user"))
        assert list(told) == [mary.id] * 4


async def test_unknown_user_is_not_changed(worker: Worker) -> None:
    """There is nothing to disable or to give a password where there is no such user."""
    with pytest.raises(NotFound):
        await worker.users.disable("usr_none", actor="test")
    with pytest.raises(NotFound):
        await worker.users.set_password("usr_none", "another-good-one-77", actor="test")


async def test_bad_new_password_keeps_the_former_one(worker: Worker) -> None:
    """A refused password change changes nothing: the user still signs in, and sessions live on."""
    token = await worker.signed_in()
    mary = (await worker.users.of_tenant("tnt_1"))[0]
    with pytest.raises(BadInput):
        await worker.users.set_password(mary.id, "password1", actor="test")
    assert await worker.sessions.find(token) is not None
    await worker.signed_in()


async def _noted(worker: Worker) -> list[tuple[str, str, str | None, dict[str, object]]]:
    """Say what the audit has: action, actor, tenant and detail."""
    columns = select(audit.c.action, audit.c.actor, audit.c.tenant_id, audit.c.detail)
    async with worker.database.read() as connection:
        rows = await connection.execute(columns.order_by(audit.c.sequence))
        return [(row.action, row.actor, row.tenant_id, row.detail) for row in rows]


async def test_every_change_is_audited_once(worker: Worker) -> None:
    """By who did it and whose it is; what was so already is no change, and what fails leaves no line."""
    [(_, _, _, added)] = await _noted(worker)
    assert added == {"email": "mary@acme.test", "customers": ["C-1001"]}
    mary = await worker.users.find_by_email("tnt_1", "mary@acme.test")
    assert mary is not None
    for _ in range(2):
        await worker.users.add_customer(mary.id, "C-2", actor="token:tok_1")
        await worker.users.disable(mary.id, actor="token:tok_1")
    await worker.users.enable(mary.id, actor="cli:ops")
    await worker.users.remove_customer(mary.id, "C-2", actor="cli:ops")
    await worker.users.set_password(mary.id, "another-good-one-77", actor="cli:ops")
    with pytest.raises(NotFound):
        await worker.users.remove_customer(mary.id, "C-2", actor="cli:ops")
    told = await _noted(worker)
    assert [(action, actor) for action, actor, _, _ in told[1:]] == [
        ("user.join", "token:tok_1"),
        ("user.disable", "token:tok_1"),
        ("user.enable", "cli:ops"),
        ("user.leave", "cli:ops"),
        ("user.password", "cli:ops"),
    ]
    assert {tenant for _, _, tenant, _ in told} == {"tnt_1"}
    assert "77" not in str(told)


async def test_ended_sessions_are_audited_where_the_user_did_not_end_them(worker: Worker) -> None:
    """One line for each deed, with how many ended; none for a user's own, nor where there was nothing."""
    session, *_ = [await worker.session() for _ in range(3)]
    before = len(await _noted(worker))
    await worker.sessions.revoke_id(session.user_id, session.id, actor="token:tok_1")
    with pytest.raises(NotFound):
        await worker.sessions.revoke_id(session.user_id, session.id, actor="token:tok_1")
    assert await worker.sessions.revoke_user(session.user_id, actor="token:tok_1") == 2
    assert await worker.sessions.revoke_user(session.user_id, actor="token:tok_1") == 0
    await worker.session()
    assert await worker.sessions.revoke_tenant("tnt_1", actor="cli:ops") == 1
    await worker.session()
    assert await worker.sessions.revoke_user(session.user_id) == 1
    told = (await _noted(worker))[before:]
    assert [(action, detail) for action, _, _, detail in told] == [
        ("session.end", {"ended": 1}),
        ("user.end_sessions", {"ended": 2}),
        ("tenant.end_sessions", {"ended": 1}),
    ]
    assert {tenant for _, _, tenant, _ in told} == {"tnt_1"}


async def test_another_tenants_user_does_not_exist(worker: Worker) -> None:
    """Whoever is bound to a tenant neither reads nor changes another's user, by whatever id."""
    mary = await worker.users.find_by_email("tnt_1", "mary@acme.test")
    assert mary is not None
    assert await worker.users.get(mary.id, tenant_id="tnt_1") == mary
    for user_id in (mary.id, "usr_none", "", "\0", "ü"):
        for doing in (
            worker.users.get(user_id, tenant_id="tnt_2"),
            worker.users.disable(user_id, actor="test", tenant_id="tnt_2"),
            worker.users.enable(user_id, actor="test", tenant_id="tnt_2"),
            worker.users.add_customer(user_id, "C-2", actor="test", tenant_id="tnt_2"),
            worker.users.remove_customer(user_id, "C-1001", actor="test", tenant_id="tnt_2"),
        ):
            with pytest.raises(NotFound) as caught:
                await doing
            assert caught.value.code == "no_such_user"
    assert await worker.users.find(mary.id) == mary


async def test_users_are_searched_and_paged(
    worker: Worker, add_tenant: Callable[[str], Awaitable[None]]
) -> None:
    """By part of an address or a reference, in any case; pages join without a gap, whoever is disabled."""
    await add_tenant("tnt_2")
    for number in range(7):
        await worker.users.add("tnt_1", f"ann{number}@acme.test", f"K-{number}", GOOD, actor="test")
    await worker.users.add("tnt_2", "ann@globex.test", "K-1", GOOD, actor="test")
    kim = await worker.users.add("tnt_1", "kim_x@acme.test", "K-1", GOOD, actor="test")
    await worker.users.add_customer(kim.id, "K-100%", actor="test")
    await worker.users.disable(kim.id, actor="test")

    async def found(text: str, *, disabled: bool | None = None) -> list[str]:
        return [each.email for each in await worker.users.search("tnt_1", text, disabled=disabled)]

    assert await found("ANN3") == ["ann3@acme.test"]
    assert await found("k-1") == ["ann1@acme.test", "kim_x@acme.test"]
    assert await found("k-1", disabled=True) == ["kim_x@acme.test"]
    assert await found("k-1", disabled=False) == ["ann1@acme.test"]
    assert await found("m_x") == ["kim_x@acme.test"]
    assert await found("n_") == []  # no wildcard
    assert await found("100%") == ["kim_x@acme.test"]
    [whole] = await worker.users.search("tnt_1", "100%")
    assert whole.customers == ("K-1", "K-100%")  # all of them, not only what was sought
    seen: list[str] = []
    while page := await worker.users.search("tnt_1", after=seen[-1] if seen else "", most=2):
        seen += [each.email for each in page]
    assert seen == [*(f"ann{number}@acme.test" for number in range(7)), "kim_x@acme.test", "mary@acme.test"]
    for bad in ("\0", "a" * 300):
        with pytest.raises(BadInput) as caught:
            await worker.users.search("tnt_1", bad)
        assert caught.value.code == "bad_search"
