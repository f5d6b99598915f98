"""The call-out against a backend that answers, and against backends that misbehave."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwk, jwt
from structlog.testing import capture_logs

from router.identity.call_out import LIFE, LIMIT, CallOut
from router.identity.signing_keys import SigningKeys
from router.identity.tenant_facts import TenantFacts
from router.storage.changes import ChangeFeed, PollBell
from router.storage.sealing import Sealer
from tests.identity.conftest import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from router.storage.database import Database

ISSUER = "https://portal.example"


class Backend:
    """A registration check that answers as a test says, and keeps what it was asked."""

    def __init__(self, *answers: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[web.Request, bytes]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer with the next answer, the last one again and again."""
        self.asked.append((request, await request.read()))
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        return await answer(request)


@asynccontextmanager
async def _serving(backend: Backend) -> AsyncIterator[None]:
    application = web.Application()
    application.router.add_route("*", "/check", backend.answer)
    async with TestServer(application, host="127.0.0.1") as server:
        backend.url = f"http://127.0.0.1:{server.port}/check"
        yield


@pytest.fixture
async def keys(database: Database) -> SigningKeys:
    """The platform's signing keys."""
    made = SigningKeys(database, Sealer([bytes(32)]), PollBell(), ChangeFeed(database, PollBell()))
    await made.ensure(START)
    return made


def _calling(keys: SigningKeys, *, timeout: float = 5.0, whole: float = 12.0) -> CallOut:
    pauses = (0.0, 0.0)
    return CallOut(
        keys, ISSUER, forbidden=None, timeout=timeout, whole=whole, pauses=pauses, clock=lambda: START
    )


async def _confirmed(call_out: CallOut, url: str | None) -> bool:
    tenant = TenantFacts("tnt_1", "acme", "Acme", "en", allow_registration=True, registration_check=url)
    return await call_out.confirm(tenant, "C-7", "new@acme.test")


def _saying(
    body: object, status: int = 200, location: str = ""
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        headers = {"Location": location} if location else {}
        return web.Response(text=text, status=status, headers=headers)

    return answer


async def _compressed(_: web.Request) -> web.StreamResponse:
    body = gzip.compress(b'{"belongs": true}')
    return web.Response(body=body, headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize("belongs", [True, False])
async def test_backend_is_asked_and_believed(keys: SigningKeys, *, belongs: bool) -> None:
    """One question with tenant, customer and address; its answer is the answer."""
    backend = Backend(_saying({"belongs": belongs}))
    async with _serving(backend):
        assert await _confirmed(_calling(keys), backend.url) is belongs
    [(request, body)] = backend.asked
    assert (request.method, request.content_type) == ("POST", "application/json")
    assert json.loads(body) == {"tenant": "acme", "customer": "C-7", "email": "new@acme.test"}
    assert "Cookie" not in request.headers


async def test_question_is_signed(keys: SigningKeys) -> None:
    """The bearer token verifies with the published keys, and binds the URL, the body and a minute."""
    backend = Backend(_saying({"belongs": True}))
    async with _serving(backend):
        await _confirmed(_calling(keys), backend.url)
        await _confirmed(_calling(keys), backend.url)
    key_set: Any = keys.jwks()
    tokens = [
        jwt.decode(
            request.headers["Authorization"].removeprefix("Bearer "), jwk.KeySet.import_key_set(key_set)
        )
        for request, _ in backend.asked
    ]
    claims = tokens[0].claims
    assert tokens[0].header["alg"] == "ES256"
    assert (claims["iss"], claims["aud"]) == (ISSUER, backend.url)
    assert (claims["iat"], claims["exp"]) == (int(START), int(START) + LIFE)
    assert claims["body_sha256"] == hashlib.sha256(backend.asked[0][1]).hexdigest()
    assert claims["jti"] != tokens[1].claims["jti"]


async def test_tenant_without_a_check_confirms_nobody(keys: SigningKeys) -> None:
    """Where there is nobody to ask, the answer is no."""
    assert await _confirmed(_calling(keys), None) is False


async def test_backend_that_stumbles_is_asked_again(keys: SigningKeys) -> None:
    """Two failures, then an answer: the third question gets it."""
    backend = Backend(_saying("", 503), _saying("", 500), _saying({"belongs": True}))
    async with _serving(backend):
        assert await _confirmed(_calling(keys), backend.url)
    assert len(backend.asked) == 3


async def test_backend_that_is_down_is_asked_three_times(keys: SigningKeys) -> None:
    """No more than three questions are put, and the failure is logged without the address or the token."""
    backend = Backend(_saying("", 503))
    with capture_logs() as logs:
        async with _serving(backend):
            assert not await _confirmed(_calling(keys), backend.url)
    assert len(backend.asked) == len(logs) == 3
    assert "new@acme.test" not in str(logs)
    assert "Bearer" not in str(logs)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(_saying({"belongs": "true"}), id="a text"),
        pytest.param(_saying({"belongs": 1}), id="a number"),
        pytest.param(_saying({}), id="nothing"),
        pytest.param(_saying([True]), id="a list"),
        pytest.param(_saying("true"), id="bare"),
        pytest.param(_saying("{"), id="half"),
        pytest.param(_saying("[" * 4000), id="nested"),
        pytest.param(_saying(json.dumps({"belongs": True, "x": "y" * LIMIT})), id="too long"),
        pytest.param(_saying({"belongs": True}, 201), id="created"),
        pytest.param(_saying({"belongs": True}, 404), id="not found"),
        pytest.param(_saying({"belongs": True}, 302, "/check"), id="redirect"),
        pytest.param(_compressed, id="compressed"),
    ],
)
async def test_whatever_is_no_answer_is_a_no(
    keys: SigningKeys, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> None:
    """Only a 200 with belongs: true confirms; an answer that would not change is not asked for again."""
    backend = Backend(answer)
    async with _serving(backend):
        assert not await _confirmed(_calling(keys), backend.url)
    assert len(backend.asked) == 1


async def test_backend_that_hangs_is_left(keys: SigningKeys) -> None:
    """A backend that does not answer, or trickles for ever, costs no more than the time it is given."""

    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.Event().wait()
        raise AssertionError

    for answer in (hang, trickle):
        backend = Backend(answer)
        async with asyncio.timeout(20), _serving(backend):
            assert not await _confirmed(_calling(keys, timeout=0.5), backend.url)
        assert len(backend.asked) == 3


async def test_one_question_has_a_time_for_all_its_repeats(keys: SigningKeys) -> None:
    """However patient each try is, and however many there are: all together they have an end."""

    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    backend = Backend(hang)
    with capture_logs() as lines:
        async with asyncio.timeout(20), _serving(backend):
            assert not await _confirmed(_calling(keys, timeout=600, whole=0.5), backend.url)
    assert len(backend.asked) == 1
    assert [line["cause"] for line in lines] == ["no answer within 0.5 seconds in all"]


async def test_nobody_listening_is_a_no(keys: SigningKeys) -> None:
    """A backend that cannot be reached, or found, or speaks no TLS, is a no and no fault of ours."""
    backend = Backend(_saying({"belongs": True}))
    async with _serving(backend):
        assert not await _confirmed(_calling(keys), backend.url.replace("http:", "https:"))
    for url in (backend.url, "http://nowhere.invalid/check"):
        assert not await _confirmed(_calling(keys), url)
    assert backend.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_forbidden_address_is_not_connected_to(keys: SigningKeys, host: str) -> None:
    """An address that upstreams may not have is not asked, written out or behind a name, and only once."""
    backend, judged = Backend(_saying({"belongs": True})), []

    def forbidden(address: str) -> bool:
        judged.append(address)
        return True

    call_out = CallOut(keys, ISSUER, forbidden=forbidden, pauses=(0.0, 0.0), clock=lambda: START)
    async with _serving(backend):
        assert not await _confirmed(call_out, backend.url.replace("127.0.0.1", host))
    assert backend.asked == []
    assert judged
