"""What must hold for any octets at all, parser by parser; a broken claim is an exception.

``make fuzz`` lets atheris look for octets that break one, guided by the branches they reach;
test_targets.py feeds the same claims with the corpora and with Hypothesis, wherever the tests run.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from router.edge.answer_head import BadAnswer, read_answer
from router.edge.chunked import BadChunk, ChunkedDecoder
from router.edge.client_hello import MAX_HELLO, BadClientHello, ClientHello, read_client_hello
from router.edge.frames import FrameTracker
from router.edge.framing import UNTIL_CLOSE
from router.edge.proxy_protocol import BadProxyHeader, ProxyHeader, read_proxy_header
from router.errors import BadInput
from router.hostname import parse_authority
from tests.edge.test_visit_fuzz import check

if TYPE_CHECKING:
    from collections.abc import Callable


def client_hello(octets: bytes) -> None:
    """A hello is read, refused, or waited for; never for more than one may have, and its name is a text."""
    with suppress(BadClientHello):
        found = read_client_hello(octets)
        if isinstance(found, ClientHello):
            assert found.server_name is None or found.server_name.isascii()
        else:
            assert 0 < found.count <= MAX_HELLO + 5


def proxy_protocol(octets: bytes) -> None:
    """A PROXY header takes no more than what came, and whoever is waited for lacks something."""
    with suppress(BadProxyHeader):
        found = read_proxy_header(octets)
        if isinstance(found, ProxyHeader):
            assert 0 < found.length <= len(octets)
        elif found is not None:
            assert found.count > 0


def request_head(octets: bytes) -> None:
    """A head is a visit that may be forwarded, or a refusal with a known status."""
    check(octets)


def answer_head(octets: bytes) -> None:
    """An upstream's head is an answer with one framing, or is not passed on."""
    for to_head in (False, True):
        with suppress(BadAnswer):
            answer = read_answer(octets, to_head=to_head, cookie_domain=b"portal.example")
            assert 100 <= answer.status <= 599
            assert answer.body >= UNTIL_CLOSE
            assert not any(b"\r" in value or b"\n" in value or b"\0" in value for _, value in answer.kept)


def chunked_body(octets: bytes) -> None:
    """A chunked body decodes to the same data in whatever pieces it comes, and to less than was sent."""
    whole, pieces = _decoded([octets]), _decoded([octets[at : at + 1] for at in range(len(octets))])
    assert whole == pieces
    assert whole is None or len(whole[0]) < max(1, len(octets))


def _decoded(pieces: list[bytes]) -> tuple[bytes, bool] | None:
    decoder = ChunkedDecoder()
    data = b""
    try:
        for piece in pieces:
            while piece and not decoder.done:
                data += decoder.feed(piece)
                piece = decoder.rest  # noqa: PLW2901 - what was too much for one go is fed again
    except BadChunk:
        return None
    return data, decoder.done


def frames(octets: bytes) -> None:
    """Frames end where they end, however they are cut."""
    whole, cut = FrameTracker(), FrameTracker()
    at = 0
    while at < len(octets):
        at += whole.feed(octets[at:])
    for octet in octets:
        assert cut.feed(bytes([octet])) == 1
    assert (whole.between, whole.closing, whole.bare) == (cut.between, cut.closing, cut.bare)


def host(octets: bytes) -> None:
    """A Host is read into a hostname in its one spelling, or refused."""
    with suppress(BadInput):
        authority = parse_authority(octets)
        assert parse_authority(str(authority.host).encode()).host == authority.host


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    claim.__name__: claim
    for claim in (client_hello, proxy_protocol, request_head, answer_head, chunked_body, frames, host)
}
