"""Which target and which Host make a visit, and whose."""

from __future__ import annotations

import pytest

from router.edge.visit import Arrival, Door, Refused, read_visit
from router.hostname import Hostname
from tests.edge.heads import HOST, Certificate, arrival, head, refusal, visit

BAD_REQUEST = 400
OTHER_OCTETS = bytes(range(0x21)) + bytes(range(0x7F, 0x100))


# -- the target -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (b"/", b"/"),
        (b"/a/b?c", b"/a/b?c"),
        (b"//evil.example/", b"//evil.example/"),
        (b"/%zz", b"/%zz"),
        (b"/a\\..", b"/a\\.."),
        (b"/?http://evil.example/", b"/?http://evil.example/"),
        (b"http://acme.portal.example/a", b"/a"),
        (b"https://acme.portal.example/a?b", b"/a?b"),
        (b"HTTPS://ACME.portal.EXAMPLE./a", b"/a"),
        (b"http://acme.portal.example", b"/"),
        (b"http://acme.portal.example?b", b"/?b"),
        (b"http://acme.portal.example//a", b"//a"),
    ],
)
def test_the_target_comes_in_origin_form(target: bytes, found: bytes) -> None:
    """Origin form stays octet by octet; absolute form loses its authority (RFC 9112 section 3.2.2)."""
    assert visit(target=target).target == found


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (b"http://other.portal.example/", "bad_host"),
        (b"http://acme.portal.example:443/", "bad_host"),
        (b"http://acme.portal.example@other.example/", "bad_host"),
        (b"http://user@acme.portal.example/", "bad_host"),
        (b"http:///a", None),
        (b"ftp://acme.portal.example/", "bad_target"),
        (b"file:///etc/passwd", None),
        (b"http:/a", None),
        (b"*", "bad_target"),
        (b"a/b", None),
        (b"?a", None),
        (b"acme.portal.example:443", None),
        (b"/a#b", None),
        (b"http://acme.portal.example#b", None),
    ],
)
def test_other_targets_are_refused(target: bytes, code: str | None) -> None:
    """Another authority than the Host's, a fragment, or any other form: 400 (THREATS 21)."""
    refused = refusal(head(target=target))
    assert refused is not None
    assert refused[0] == BAD_REQUEST
    assert code in (None, refused[1])


@pytest.mark.parametrize("octet", OTHER_OCTETS)
def test_targets_are_visible_ascii(octet: int) -> None:
    """No control character, no blank and nothing beyond ASCII stands in a target, in path or query."""
    for target in (b"/a%bc", b"/a?b%bc", b"/%b"):
        refused = refusal(head(target=target % bytes([octet])))
        assert refused is not None
        assert refused[0] == BAD_REQUEST


# -- the Host ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        b"acme.portal.example",
        b"ACME.portal.Example",
        b"acme.portal.example.",
        b"acme.portal.example:8443",
        b"acme.portal.example.:1",
    ],
)
def test_spellings_of_one_host(host: bytes) -> None:
    """Case, one trailing dot and the port do not make another tenant (THREATS 26), or another Host."""
    for port in (b"", b":8443"):
        seen = visit(host=host, by=arrival(port=port))
        assert (seen.hostname, seen.host, seen.covered) == (HOST, HOST.encode() + port, True)


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b".",
        b"..acme.portal.example",
        b"acme..example",
        b"acme.portal.example..",
        b"acme.portal.example, evil.example",
        b"acme.portal.example,evil.example",
        b"acme.portal.example evil.example",
        b"acme.portal.example@evil.example",
        b"evil.example/acme.portal.example",
        b"acme.portal.example/x",
        b"acme.portal.example?x",
        b"acme.portal.example#x",
        b"acme.portal.example\\x",
        b"acme.portal.example:",
        b"acme.portal.example:0",
        b"acme.portal.example:99999",
        b"acme.portal.example:-1",
        b"acme.portal.example:443:443",
        b"acme.portal.example:x",
        b"acme.portal.example ",
        b"acme_1.portal.example",
        b"*.portal.example",
        b"-acme.portal.example",
        b"[::1",
        b"::1",
        b"[::1]x",
        b"[fe80::1%25eth0]",
        b"127.1",
        b"2130706433",
        b"0x7f.1",
        b"127.0.0.1.",
        b"http://acme.portal.example",
        "acmé.portal.example".encode(),
        b"a" * 64 + b".example",
        b"a." * 130 + b"example",
    ],
)
def test_bad_hosts_are_refused(host: bytes) -> None:
    """What is not exactly one host is 400 (THREATS 19, 20)."""
    assert refusal(head(host=host)) == (400, "bad_host")


def test_a_host_is_sent_once() -> None:
    """No Host, or two of them, be they alike, is 400, in HTTP/1.0 as well (CVE-2026-34525)."""
    same = b"Host: " + HOST.encode()
    assert refusal(head(host=None)) == (400, "bad_host")
    assert refusal(head(host=None, version=b"1.0")) == (400, "bad_host")
    assert refusal(head(same)) == (400, "bad_host")
    assert refusal(head(b"X: 1", same.lower())) == (400, "bad_host")
    assert refusal(head(b"Host: evil.example")) == (400, "bad_host")
    assert refusal(head(target=b"http://acme.portal.example/", host=None)) == (400, "bad_host")


def test_connection_host_changes_nothing() -> None:
    """``Connection: Host, Content-Length`` takes neither away (THREATS 32)."""
    seen = visit(b"Connection: Host, Content-Length", b"Content-Length: 5", method=b"POST")
    assert (seen.hostname, seen.body) == (HOST, 5)


@pytest.mark.parametrize("host", [b"127.0.0.1", b"169.254.169.254:80", b"[::1]", b"[2001:db8::1]:8443"])
def test_an_ip_literal_is_nobodys_hostname(host: bytes) -> None:
    """It is read, and names no tenant (THREATS 22)."""
    seen = visit(host=host)
    assert (seen.hostname, seen.covered) == (None, False)


@pytest.mark.parametrize(
    ("names", "covered"), [({HOST}, True), ({"other.portal.example"}, False), (set[str](), False)]
)
def test_the_certificate_decides_what_is_covered(names: set[str], *, covered: bool) -> None:
    """A hostname that the presented certificate does not name is known to be so (THREATS 23)."""
    certificate = Certificate(frozenset(names), "tnt_acme")
    seen = visit(by=arrival(presented=certificate))
    assert (seen.covered, seen.opened_for) == (covered, "tnt_acme")


def test_without_a_certificate_nothing_is_covered() -> None:
    """On the plain port there is no certificate, so nothing is covered by one."""
    seen = visit(by=arrival(door=Door.HTTP))
    assert (seen.hostname, seen.covered, seen.opened_for) == (Hostname(HOST), False, None)


def test_a_probe_by_http_1_0_needs_no_host_on_the_health_port_alone() -> None:
    """Load balancers that probe by HTTP/1.0 send no Host; everywhere else that is refused."""
    head = b"GET /readyz HTTP/1.0\r\n\r\n"
    assert read_visit(head, Arrival("c", Door.HEALTH, "192.0.2.1")).hostname is None
    for door in (Door.HTTP, Door.HTTPS):
        with pytest.raises(Refused):
            read_visit(head, Arrival("c", door, "192.0.2.1"))
