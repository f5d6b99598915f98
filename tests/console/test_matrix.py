"""Who may do what: every operation of the API, asked by everybody who could ask.

The operations are those that ``build_console`` declares; who adds one is held to this without adding a test.
What may be is worked out here anew, from the design alone: a role or a token has scopes; who is bound to a
tenant does nothing to another's, and nothing that is the platform's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from router.console.access import Access
from router.console.api.bearer import Bearer
from router.console.api.calls import Calls
from router.console.api.examples import example_of
from router.console.api.openapi import describe
from router.console.api.operation import Reply
from router.console.problems import problem_of
from router.console.scopes import SCOPES_OF, Role, Scope
from router.errors import RouterError
from tests.certificates.maker import INTERMEDIATE, make
from tests.console.stand import BillingSystem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aiohttp.typedefs import Handler

    from router.console.api.operation import Call, Operation
    from router.tenants.tenant import Tenant
    from tests.console.stand import Answer, Stand

# Who may do what does not depend on the database; what is found there is tested beside each endpoint.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PLATFORMS = {"tenants:manage", "domains:vouch"}
"""What no tenant's operator may do (docs/api.md)."""


CERTIFICATE = make("globex.portal.example", issuer=INTERMEDIATE)

_WISHES: dict[str, dict[str, object]] = {
    "operators": {"email": "op@globex.test", "tenant": "globex"},
    "webhooks": {
        "url": "https://hooks.globex.test/",
        "events": ["certificate.expiring"],
        "tenant": "globex",
    },
    "tenants/globex/domains": {"hostname": "billing.globex.test"},
    "tenants/globex/invitations": {"email": "fay@globex.test", "customer": "G-2"},
    "tenants/globex/certificates": {
        "certificate": (CERTIFICATE.pem + INTERMEDIATE.pem).decode(),
        "key": CERTIFICATE.key_pem.decode(),
    },
}
"""What Globex is given one of, so that something can be found: whoever adds a collection adds to it."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who asks: for all tenants (``tenant`` none) or for one, with some scopes; or with no token."""

    name: str
    token: str
    tenant: str | None
    scopes: frozenset[str]

    def may(self, operation: Operation) -> bool:
        """Whether they may do it, to Acme where it is about a tenant."""
        bound = self.tenant is not None
        return (
            operation.scope.value in self.scopes
            and not (bound and (operation.scope.value in PLATFORMS or operation.platform))
            and not ("{tenant}" in operation.path and bound and self.tenant != "acme")
        )


@pytest.fixture
async def askers(stand: Stand) -> Sequence[Asker]:
    """Everybody: the four roles, each scope alone, other tenants' operators, and who has no token."""
    made = [Asker("nobody", "", None, frozenset())]
    for role in Role:
        tenant = None if role.of_platform else stand.acme
        made.append(await _asker(stand, str(role), tenant, SCOPES_OF[role]))
    made.append(await _asker(stand, "another's operator", stand.globex, SCOPES_OF[Role.TENANT_OPERATOR]))
    made.append(await _asker(stand, "another's, with everything", stand.globex, frozenset(Scope)))
    for scope in Scope:
        made.append(await _asker(stand, f"all: {scope}", None, frozenset({scope})))
        made.append(await _asker(stand, f"acme: {scope}", stand.acme, frozenset({scope})))
    return made


async def _asker(stand: Stand, name: str, tenant: Tenant | None, scopes: frozenset[Scope]) -> Asker:
    token = await stand.new_token(tenant, *scopes, name=name[:80])
    slug = tenant.slug if tenant is not None else None
    return Asker(name, token, slug, frozenset(scope.value for scope in scopes))


def _path(operation: Operation, tenant: str = "acme") -> str:
    """Write the path of an operation, with names that nothing has in the place of all but the tenant's."""
    return _filled(operation.path.replace("{tenant}", tenant), "nothing")


def _filled(path: str, name: str) -> str:
    head, brace, rest = path.partition("{")
    return f"{head}{name}{_filled(rest.partition('}')[2], name)}" if brace else head


@pytest.fixture
async def doors(stand: Stand) -> AsyncIterator[tuple[BillingSystem, list[Operation]]]:
    """The same operations behind the same door, but that all they do is to note that they were reached."""
    reached: list[Operation] = []

    def noting(operation: Operation) -> Operation:
        async def note(_: Call[Any, Any]) -> Reply:
            reached.append(operation)
            return Reply()

        return replace(operation, handle=note, body=None, query=None, octets=False, versioned=False)

    application = web.Application(middlewares=[_told])
    calls = Calls(Bearer(stand.finder, stand.budgets), Access(stand.registry), stand.idempotency)
    application.add_routes(calls.routes([noting(each) for each in stand.operations]))
    async with TestClient(TestServer(application)) as client:
        yield BillingSystem(client), reached


@web.middleware
async def _told(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RouterError as fault:
        return problem_of(fault, "")


async def test_who_may_is_let_in(
    stand: Stand, askers: Sequence[Asker], doors: tuple[BillingSystem, list[Operation]]
) -> None:
    """Exactly who may reaches what does it: every operation, everybody."""
    client, reached = doors
    wrong = []
    for asker in askers:
        client.token = asker.token
        for operation in stand.operations:
            reached.clear()
            answer = await _ask(client, operation, asker)
            if bool(reached) != asker.may(operation):
                wrong.append((asker.name, operation.method, operation.path, answer.status))
    assert wrong == []


async def _ask(client: BillingSystem, operation: Operation, asker: Asker, tenant: str = "acme") -> Answer:
    headers = {} if asker.token else {"Authorization": ""}
    path = f"../{_path(operation, tenant).lstrip('/')}"
    return await client.send(operation.method, path, headers)


async def test_nobody_else_is_let_in(stand: Stand, askers: Sequence[Asker]) -> None:
    """By the application as it is: 401 without a token, 403 without the scope, 404 for another's tenant."""
    wrong = []
    for asker in askers:
        stand.billing.token = asker.token
        for operation in stand.operations:
            if not asker.may(operation):
                answer = await _ask(stand.billing, operation, asker)
                if (answer.status, answer.code) != _refusal(asker, operation):
                    wrong.append((asker.name, operation.method, operation.path, answer.status, answer.code))
    assert wrong == []


def _refusal(asker: Asker, operation: Operation) -> tuple[int, str]:
    if not asker.token:
        return 401, "token_needed"
    bound_to_platforms = asker.tenant is not None and operation.scope.value in PLATFORMS
    if operation.scope.value not in asker.scopes or bound_to_platforms or "{tenant}" not in operation.path:
        return 403, "insufficient_scope"
    return 404, "tenant_not_found"


async def test_anothers_tenant_is_as_none(stand: Stand, askers: Sequence[Asker]) -> None:
    """Whoever is bound to a tenant cannot tell another's from one that does not exist: the same octets."""
    for asker in askers:
        if asker.tenant != "globex":
            continue
        stand.billing.token = asker.token
        for operation in stand.operations:
            if "{tenant}" in operation.path:
                theirs = await _ask(stand.billing, operation, asker, "acme")
                nobodys = await _ask(stand.billing, operation, asker, "acmo")
                assert theirs.body == nobodys.body.replace(b"acmo", b"acme")
                assert theirs.status in (403, 404)


async def test_what_is_anothers_is_as_nothing(stand: Stand) -> None:
    """Named by its real id, through one's own tenant or past it: no operation finds or changes it."""
    platform = await _asker(stand, "platform", None, frozenset(Scope))
    acme = await _asker(stand, "acme", stand.acme, frozenset(Scope))
    theirs = await _things_of_globex(stand, platform)
    described = describe(stand.operations)
    tried, wrong = set(), []
    for operation in stand.operations:
        collection, named, rest = _split(operation)
        if not named or operation.platform:
            continue
        for thing in theirs.get(collection, ()):
            stand.billing.token = acme.token
            path = collection.replace("{tenant}", "acme") + f"/{thing}" + _filled(rest, "nothing")
            answer = await _call(stand, operation, path, described)
            tried.add(collection)
            if answer.status not in (403, 404):
                wrong.append((operation.method, path, answer.status))
    assert wrong == []
    collections = {_split(each)[0] for each in stand.operations if _split(each)[1] and not each.platform}
    assert tried == collections & set(theirs)
    assert await _things_of_globex(stand, platform) == theirs


def _split(operation: Operation) -> tuple[str, str, str]:
    """Tell the path of a collection from the name of what is in it, and from what is done to that."""
    collection, named, rest = re.split(r"(?:/(\{id\}|\{hostname\})|$)", operation.path, maxsplit=1)
    return collection, named or "", rest


async def _things_of_globex(stand: Stand, platform: Asker) -> dict[str, list[str]]:
    """Give Globex one of everything, and list the ids of what it has by the collections they are in."""
    globex, use_cases = stand.globex.id, stand.use_cases
    stand.billing.token = platform.token
    if await use_cases.users.find_by_email(globex, "eve@globex.test") is None:
        await use_cases.users.add(globex, "eve@globex.test", "G-1", "correct horse battery", actor="test")
        await stand.new_token(stand.globex, name="Globex's")
        for path, wished in _WISHES.items():
            made = await stand.billing.call("POST", path, wished)
            assert made.status in (200, 201), made.body
    found = {}
    for operation in stand.operations:
        whole = "{" not in operation.path.replace("{tenant}", "")
        lists = operation.answer is not None and "items" in operation.answer.model_fields
        if operation.method == "GET" and whole and lists:
            answer = await stand.billing.call("GET", operation.path.lstrip("/").replace("{tenant}", "globex"))
            assert answer.status == 200, (operation.path, answer.body)
            found[operation.path] = [each for each in _ids(answer.data) if each != stand.acme.id]
    return found


def _ids(data: dict[str, Any]) -> list[str]:
    items = data.get("items", [])
    named = [each for each in items if each.get("tenant", "globex") == "globex"]
    return [each.get("id") or each["hostname"] for each in named if "id" in each or "hostname" in each]


async def _call(stand: Stand, operation: Operation, path: str, described: dict[str, Any]) -> Answer:
    """Call with a body that is one, so that nothing but whose it is stands in the way."""
    told = described["paths"][operation.path][operation.method.lower()]
    schema = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    body = example_of(schema, described["components"]["schemas"]) if schema else None
    version = "*" if operation.versioned else None
    return await stand.billing.call(operation.method, path.lstrip("/"), body, version=version)


async def test_lists_hold_ones_own(stand: Stand) -> None:
    """No list that names no tenant tells one tenant of another: neither its name, nor an id of its own."""
    platform = await _asker(stand, "platform", None, frozenset(Scope))
    theirs = await _things_of_globex(stand, platform)
    stand.billing.token = (await _asker(stand, "acme", stand.acme, frozenset(Scope))).token
    told = [stand.globex.id, "globex", *(thing for things in theirs.values() for thing in things)]
    for operation in stand.operations:
        if operation.method == "GET" and "{" not in operation.path and not operation.platform:
            answer = await stand.billing.call("GET", operation.path.lstrip("/"))
            assert answer.status == 200, (operation.path, answer.body)
            assert not [word for word in told if word in answer.body.decode()], operation.path


def test_the_roles_are_those_of_the_design(database_url: str) -> None:
    """Platform operators may do everything; readers of either kind read, and change nothing."""
    assert SCOPES_OF[Role.PLATFORM_OPERATOR] == frozenset(Scope)
    assert {scope.value for scope in frozenset(Scope) - SCOPES_OF[Role.TENANT_OPERATOR]} == PLATFORMS
    for role in (Role.PLATFORM_READER, Role.TENANT_READER):
        assert {scope.value.rpartition(":")[2] for scope in SCOPES_OF[role]} == {"read"}


async def test_reading_scopes_change_nothing(stand: Stand) -> None:
    """What changes something needs a scope that is not for reading, and what only reads has a reader's."""
    for operation in stand.operations:
        reads = operation.method == "GET" or operation.path.endswith("/check")
        assert reads or not operation.scope.value.endswith(":read"), operation.path
        assert not (operation.method == "GET" and not operation.scope.value.endswith(":read")), operation.path
