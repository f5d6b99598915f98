"""Operators: who is one, what becomes of them, and that somebody always can let others in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from router.console.operator_links import LIFE
from router.console.scopes import Role
from router.errors import BadInput, Conflict, NotFound, Unavailable
from router.storage.schema import audit, operator_links
from tests.console.page_browser import PASSWORD

if TYPE_CHECKING:
    from router.console.operator_rows import Operator
    from router.console.operators import Operators
    from tests.console.stand import Stand


@pytest.fixture
def operators(stand: Stand) -> Operators:
    """The operators of the stand."""
    return stand.use_cases.operators


async def add(stand: Stand, email: str, tenant_id: str | None = None, *, read_only: bool = False) -> Operator:
    """Add an operator who has chosen a password."""
    link, _ = await stand.use_cases.operators.add(
        email, tenant_id=tenant_id, read_only=read_only, actor="cli:root"
    )
    return await stand.use_cases.operator_sign_in.welcome(link, PASSWORD)


async def session_of(stand: Stand, operator: Operator) -> str:
    """Sign somebody in; the token."""
    sessions = stand.use_cases.operator_sessions
    return await sessions.start(operator, address="192.0.2.7", user_agent="x", previous=None)


async def test_an_operator_is_added_by_a_link(stand: Stand, operators: Operators) -> None:
    """Its token is told once: only its digest is stored; until it is used nobody can sign in."""
    token, made = await operators.add(
        "Ada@Example.com", tenant_id=stand.acme.id, read_only=False, actor="cli:root"
    )
    assert (made.email, made.role, made.slug, made.state) == (
        "ada@example.com",
        Role.TENANT_OPERATOR,
        "acme",
        "invited",
    )
    async with stand.database.read() as connection:
        [row] = (await connection.execute(select(operator_links))).mappings()
    assert token not in str(row)
    assert row["expires_at"] - row["created_at"] == LIFE
    used = await stand.use_cases.operator_sign_in.welcome(token, PASSWORD)
    assert used.state == "active"
    assert PASSWORD not in repr(used)
    assert str(used.password_hash) not in repr(used)


async def test_one_address_is_one_operator(stand: Stand, operators: Operators) -> None:
    """In any spelling, whoever's operator it is; and a bad one is told."""
    await add(stand, "ada@example.com")
    with pytest.raises(Conflict, match="already") as taken:
        await operators.add("ADA@example.com", tenant_id=stand.acme.id, read_only=True, actor="x")
    assert taken.value.code == "email_taken"
    with pytest.raises(BadInput) as bad:
        await operators.add("ada", tenant_id=None, read_only=False, actor="x")
    assert bad.value.code == "bad_email"
    with pytest.raises(NotFound):
        await operators.add("bob@example.com", tenant_id="tnt_gone", read_only=False, actor="x")


async def test_a_link_works_once(stand: Stand, operators: Operators) -> None:
    """And not after a day, nor after a newer one, nor for who was disabled."""
    sign_in = stand.use_cases.operator_sign_in
    token, made = await operators.add("ada@example.com", tenant_id=None, read_only=False, actor="x")
    await sign_in.welcome(token, PASSWORD)
    with pytest.raises(Conflict) as used:
        await sign_in.welcome(token, PASSWORD)
    older, _ = await operators.new_link(made.id, actor="x")
    newer, _ = await operators.new_link(made.id, actor="x")
    with pytest.raises(NotFound) as unknown:
        await sign_in.look(older)
    stand.now += LIFE
    with pytest.raises(Conflict) as expired:
        await sign_in.look(newer)
    assert [each.value.code for each in (used, unknown, expired)] == [
        "link_used",
        "link_unknown",
        "link_expired",
    ]


async def test_of_two_who_use_a_link_one_wins(stand: Stand, operators: Operators) -> None:
    """However near they come to each other."""
    token, _ = await operators.add("ada@example.com", tenant_id=None, read_only=False, actor="x")
    sign_in = stand.use_cases.operator_sign_in
    tried = await asyncio.gather(
        *(sign_in.welcome(token, f"{PASSWORD}-{turn}") for turn in range(4)), return_exceptions=True
    )
    assert sorted(isinstance(each, Conflict) for each in tried) == [False, True, True, True]


async def test_a_link_and_a_disabling_do_not_wait_for_each_other(stand: Stand, operators: Operators) -> None:
    """Both take the operator first and their links then: neither is told that the database is away."""
    sign_in = stand.use_cases.operator_sign_in
    ada, _ = await add(stand, "ada@example.com"), await add(stand, "bob@example.com")
    for _ in range(12):
        token, _ = await operators.new_link(ada.id, actor="x")
        used, disabled = await asyncio.gather(
            sign_in.welcome(token, PASSWORD),
            operators.change(ada.id, disabled=True, actor="x"),
            return_exceptions=True,
        )
        assert not isinstance(disabled, BaseException)
        assert not isinstance(used, Unavailable)
        await operators.change(ada.id, disabled=False, actor="x")


async def test_the_first_operator(stand: Stand, operators: Operators) -> None:
    """Comes by a link of nobody's, says who they are, and is the platform's; then no such link is made."""
    sign_in = stand.use_cases.operator_sign_in
    first, second = await operators.first_link(), await operators.first_link()
    assert first is not None
    assert second is not None
    assert (await sign_in.look(first)).operator is None
    made = await sign_in.welcome(first, PASSWORD, email="Ada@example.com")
    assert (made.email, made.role) == ("ada@example.com", Role.PLATFORM_OPERATOR)
    assert await operators.first_link() is None
    with pytest.raises(Conflict) as late:
        await sign_in.welcome(second, PASSWORD, email="eve@example.com")
    assert late.value.code == "link_used"
    assert [each.email for each in await operators.list()] == ["ada@example.com"]


async def test_two_first_links_make_one_operator(stand: Stand, operators: Operators) -> None:
    """Also where both are used at the same time."""
    links = [await operators.first_link() or "" for _ in range(3)]
    welcome = stand.use_cases.operator_sign_in.welcome
    tried = await asyncio.gather(
        *(welcome(link, PASSWORD, email=f"x{turn}@example.com") for turn, link in enumerate(links)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Conflict) for each in tried) == 2
    assert len(await operators.list()) == 1


async def test_a_change_ends_sessions(stand: Stand, operators: Operators) -> None:
    """Of role, of being let in, of password: in the same transaction; what changes nothing ends nothing."""
    await add(stand, "root@example.com")
    ada = await add(stand, "ada@example.com")
    find = stand.use_cases.operator_sessions.find
    token = await session_of(stand, ada)
    same = await operators.change(ada.id, read_only=False, actor="x")
    assert same.version == ada.version
    assert await find(token) is not None
    reader = await operators.change(ada.id, read_only=True, actor="x", version=same.version)
    assert reader.role is Role.PLATFORM_READER
    assert await find(token) is None
    token = await session_of(stand, reader)
    await operators.change(ada.id, disabled=True, actor="x")
    assert await find(token) is None
    with pytest.raises(Conflict):
        await session_of(stand, reader)
    with pytest.raises(Conflict) as no_link:
        await operators.new_link(ada.id, actor="x")
    assert no_link.value.code == "operator_disabled"


async def test_a_lost_update_is_refused(stand: Stand, operators: Operators) -> None:
    """Whoever changes a version that is not the present one is told."""
    await add(stand, "root@example.com")
    ada = await add(stand, "ada@example.com")
    await operators.change(ada.id, disabled=True, actor="x", version=ada.version)
    with pytest.raises(Conflict) as lost:
        await operators.change(ada.id, read_only=True, actor="x", version=ada.version)
    assert lost.value.code == "changed_meanwhile"


async def test_the_last_platform_operator_stays(stand: Stand, operators: Operators) -> None:
    """Neither removed, nor disabled, nor made a reader; readers, tenants' and uninvited ones do not count."""
    root = await add(stand, "root@example.com")
    await add(stand, "reader@example.com", read_only=True)
    await add(stand, "acme@example.com", stand.acme.id)
    _, invited = await operators.add("new@example.com", tenant_id=None, read_only=False, actor="x")
    for refused in (
        operators.remove(root.id, actor="x"),
        operators.change(root.id, disabled=True, actor="x"),
        operators.change(root.id, read_only=True, actor="x"),
    ):
        with pytest.raises(Conflict) as last:
            await refused
        assert last.value.code == "last_operator"
    await operators.remove(invited.id, actor="x")
    await add(stand, "second@example.com")
    await operators.remove(root.id, actor="x")


async def test_of_two_last_ones_one_stays(stand: Stand, operators: Operators) -> None:
    """However near their removals come to each other."""
    both = [await add(stand, f"{name}@example.com") for name in ("ada", "bob")]
    done = await asyncio.gather(
        *(operators.remove(each.id, actor="x") for each in both), return_exceptions=True
    )
    assert sorted(isinstance(each, Conflict) for each in done) == [False, True]


async def test_others_operators_do_not_exist(stand: Stand, operators: Operators) -> None:
    """For whoever is bound to a tenant: neither the platform's, nor another tenant's."""
    root = await add(stand, "root@example.com")
    theirs = await add(stand, "globex@example.com", stand.globex.id)
    own = await add(stand, "acme@example.com", stand.acme.id)
    within = stand.acme.id
    assert [each.email for each in await operators.list(within=within)] == ["acme@example.com"]
    for other in (root.id, theirs.id, "opr_none", "\0", "\ud800"):
        for asked in (
            operators.find(other, within=within),
            operators.remove(other, actor="x", within=within),
            operators.change(other, disabled=True, actor="x", within=within),
            operators.change(other, read_only=True, actor="x", within=within),
            operators.new_link(other, actor="x", within=within),
        ):
            with pytest.raises(NotFound) as absent:
                await asked
            assert absent.value.code == "no_such_operator"
    assert (await operators.find(own.id, within=within)).email == own.email


async def test_everything_is_audited(stand: Stand, operators: Operators) -> None:
    """Who did what to whom, and whose it is; never a token nor a password."""
    await add(stand, "root@example.com")
    link, ada = await operators.add(
        "ada@example.com", tenant_id=stand.acme.id, read_only=True, actor="cli:root"
    )
    await stand.use_cases.operator_sign_in.welcome(link, PASSWORD)
    await operators.change(ada.id, read_only=False, actor="operator:root@example.com")
    await operators.change(ada.id, disabled=True, actor="operator:root@example.com")
    await operators.change(ada.id, disabled=False, actor="operator:root@example.com")
    await operators.new_link(ada.id, actor="operator:root@example.com")
    await operators.remove(ada.id, actor="operator:root@example.com")
    async with stand.database.read() as connection:
        found = select(audit).where(audit.c.subject == ada.id).order_by(audit.c.sequence)
        lines = (await connection.execute(found)).mappings().all()
    assert [line["action"].removeprefix("operator.") for line in lines] == [
        "add",
        "password",
        "change",
        "disable",
        "enable",
        "link",
        "remove",
    ]
    assert {line["tenant_id"] for line in lines} == {stand.acme.id}
    assert lines[1]["actor"] == "link:ada@example.com"
    assert lines[2]["detail"]["role"] == {"from": "tenant-reader", "to": "tenant-operator"}
    assert link not in str(lines)


async def test_a_list_goes_on_behind_an_address(stand: Stand, operators: Operators) -> None:
    """By e-mail address, so many at a time."""
    for name in ("cyd", "ada", "bob"):
        await add(stand, f"{name}@example.com")
    first = await operators.list(limit=2)
    rest = await operators.list(after=first[-1].email, limit=2)
    assert [each.email.partition("@")[0] for each in (*first, *rest)] == ["ada", "bob", "cyd"]
