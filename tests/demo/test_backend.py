from __future__ import annotations

import hashlib
import io
import ssl
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from router.demo import verifier as verifier_module
from router.demo.backend import build_backend
from router.demo.verifier import NotVerified, Verifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ISSUER = "https://portal.example"
AUDIENCE = "http://backend.example:8000"
PORTAL = "acme.portal.example"


class Platform:
    """A router as the backend sees it: a key, published over HTTPS, and assertions signed with it."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", parameters={"kid": "sig_1"})
        self.asked = 0
        self.away = False
        self.authority = trustme.CA()
        self.url = ""

    def assertion(self, key: ECKey | None = None, **changes: object) -> str:
        """Sign a good assertion, or one that differs."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "usr_1",
            "email": "ada@acme.example",
            "tenant": "acme",
            "customer": "C-1001",
            "iat": now,
            "exp": now + 60,
        }
        return jwt.encode({"alg": "ES256", "kid": "sig_1"}, claims | changes, key or self.key)

    def verifier(self) -> Verifier:
        """Make a backend's verifier for this platform."""
        trust = ssl.create_default_context()
        self.authority.configure_trust(trust)
        return Verifier(self.url, issuer=ISSUER, audience=AUDIENCE, trust=trust, address="127.0.0.1")

    async def publish(self, _request: web.Request) -> web.Response:
        """Answer the JWKS document."""
        self.asked += 1
        if self.away:
            raise web.HTTPServiceUnavailable
        return web.json_response(KeySet([self.key]).as_dict(private=False))


@asynccontextmanager
async def _publishing(platform: Platform) -> AsyncIterator[None]:
    application = web.Application()
    application.router.add_get("/.well-known/portal-jwks.json", platform.publish)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    platform.authority.issue_cert(PORTAL).configure_cert(context)
    server = TestServer(application, host="127.0.0.1")
    await server.start_server(ssl=context)
    platform.url = f"https://{PORTAL}:{server.port}/.well-known/portal-jwks.json"
    yield
    await server.close()


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """Publish a platform's keys."""
    platform = Platform()
    async with _publishing(platform):
        yield platform


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """Ask the backend as the router would, for a signed-in visit."""
    headers = {"X-Portal-Jwt-Assertion": platform.assertion()}
    async with TestClient(TestServer(build_backend(platform.verifier())), headers=headers) as client:
        yield client


async def test_the_invoices_say_who_is_asking(client: TestClient[web.Request, web.Application]) -> None:
    """The page names the user, the customer and the tenant of the verified assertion."""
    answer = await client.get("/", headers={"X-Portal-Email": "mallory@example.com"})
    page = await answer.text()
    assert answer.status == 200
    for fact in ("ada@acme.example", "C-1001", "acme", "EUR"):
        assert fact in page


async def test_what_headers_hold_is_escaped(client: TestClient[web.Request, web.Application]) -> None:
    """Markup in a header is shown, not run."""
    page = await (await client.get("/", headers={"X-Portal-Email": "<script>alert(1)</script>"})).text()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("path", ["/", "/upload", "/live", "/events", "/echo", "/whoami", "/no-such-page"])
async def test_nothing_is_shown_without_an_assertion(platform: Platform, path: str) -> None:
    """Whoever reaches the backend beside the router sees none of it."""
    async with TestClient(TestServer(build_backend(platform.verifier()))) as client:
        answer = await client.get(path, headers={"X-Portal-User": "usr_1", "X-Portal-Email": "a@b.example"})
        assert answer.status == 401
        assert (await answer.json())["error"] == "not_verified"


async def test_health_needs_no_identity(platform: Platform) -> None:
    """A load balancer is told that the backend lives without an assertion."""
    async with TestClient(TestServer(build_backend(platform.verifier()))) as client:
        assert (await client.get("/healthz")).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "http://another-backend.example"},
        {"exp": 1},
        {"exp": None},
        {"nbf": 9_999_999_999},
        {"key": ECKey.generate_key("P-256", parameters={"kid": "sig_1"})},
        {"key": ECKey.generate_key("P-256", parameters={"kid": "sig_2"})},
    ],
    ids=["issuer", "audience", "expired", "endless", "not yet", "another key", "an unknown key"],
)
async def test_a_wrong_assertion_is_refused(platform: Platform, changes: dict[str, Any]) -> None:
    """Another issuer, audience, time or key does not hold."""
    with pytest.raises(NotVerified):
        await platform.verifier().verify(platform.assertion(**changes))


@pytest.mark.parametrize("assertion", ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "é", "." * 4000])
async def test_nonsense_is_refused(platform: Platform, assertion: str) -> None:
    """What is no signed token is refused, “alg: none” included."""
    with pytest.raises(NotVerified):
        await platform.verifier().verify(assertion)


async def test_the_keys_are_fetched_once(platform: Platform) -> None:
    """The published keys are kept, so that a visit does not cost a fetch."""
    verifier = platform.verifier()
    for _ in range(3):
        assert (await verifier.verify(platform.assertion())).user == "usr_1"
    assert platform.asked == 1


async def test_keys_outlive_an_outage(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the keys cannot be fetched again, the former ones go on being used."""
    monkeypatch.setattr(verifier_module, "KEPT_SECONDS", -1.0)
    verifier = platform.verifier()
    await verifier.verify(platform.assertion())
    platform.away = True
    assert (await verifier.verify(platform.assertion())).user == "usr_1"
    assert platform.asked == 2


async def test_a_portal_without_keys_is_not_asked_all_the_time(platform: Platform) -> None:
    """Until there are keys everything is refused, and the portal is asked only now and then."""
    platform.away = True
    verifier = platform.verifier()
    for _ in range(3):
        with pytest.raises(NotVerified):
            await verifier.verify(platform.assertion())
    assert platform.asked == 1


async def test_keys_of_a_portal_nobody_vouches_for_are_not_used(platform: Platform) -> None:
    """A certificate by an authority that is not trusted gives no keys."""
    verifier = Verifier(platform.url, issuer=ISSUER, audience=AUDIENCE, address="127.0.0.1")
    with pytest.raises(NotVerified):
        await verifier.verify(platform.assertion())
    assert platform.asked == 0


async def test_an_upload_is_measured(client: TestClient[web.Request, web.Application]) -> None:
    """A body posted by a program, and a file from the form, come back as size and SHA-256."""
    content = bytes(range(256)) * 2000
    digest = hashlib.sha256(content).hexdigest()
    told = await (await client.post("/upload", data=content)).json()
    assert told == {"size": len(content), "sha256": digest}
    page = await (await client.post("/upload", data={"file": io.BytesIO(content)})).text()
    assert digest in page
    assert str(len(content)) in page


async def test_events_come_one_by_one(
    client: TestClient[web.Request, web.Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event stream is of the right type and goes on."""
    monkeypatch.setattr("router.demo.backend.TICK_SECONDS", 0.01)
    async with client.get("/events") as stream:
        assert stream.content_type == "text/event-stream"
        lines = [await stream.content.readline() for _ in range(6)]
    assert lines[0::3] == [b"id: 1\n", b"id: 2\n"]


async def test_the_echo_says_the_same(client: TestClient[web.Request, web.Application]) -> None:
    """Text and bytes come back over the WebSocket as they were sent."""
    async with client.ws_connect("/echo") as socket:
        await socket.send_str("grüß Gott")
        assert await socket.receive_str() == "grüß Gott"
        await socket.send_bytes(b"\x00\xff")
        assert await socket.receive_bytes() == b"\x00\xff"


@pytest.mark.parametrize("path", ["/upload", "/live", "/echo"])
async def test_pages(client: TestClient[web.Request, web.Application], path: str) -> None:
    """Each page is HTML that nobody keeps."""
    answer = await client.get(path)
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert answer.headers["Cache-Control"] == "no-store"
