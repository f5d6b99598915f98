"""Upstream addresses: nothing private by any spelling, when saved and when connecting (THREATS 29)."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import BadInput, BadSettings
from router.tenants.tenant import Upstream
from router.tenants.upstream_address import (
    check_distinct,
    check_upstream,
    default_upstreams,
    forbidden,
    parse_upstream,
    socket_path,
    spelled,
    split_upstream,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

PRIVATE = """
    0.0.0.0 10.1.2.3 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16 169.254.0.1
    169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.168.0.1 198.18.0.1
    198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 64:ff9b::7f00:1
    64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe::1
    2001:0:4136:e378:8000:63bf:80ff:fffe fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1
""".split()  # noqa: SIM905 - forty words read better as text
NEVER = """
    169.254.0.1 169.254.169.254 169.254.170.2 100.100.100.200 168.63.129.16 192.0.0.192
    fe80::1 fe80::a9fe:a9fe fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42
    ::169.254.169.254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::1 ::ffff:100.100.100.200
""".split()  # noqa: SIM905 - the same
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_forbidden(address: str) -> None:
    """Loopback, link-local, private, metadata, multicast, reserved: also inside IPv6."""
    assert forbidden(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    """An address of the public internet is fine, also one translated from IPv4 by NAT64."""
    assert not forbidden(ip_address(address))


@pytest.mark.parametrize("address", NEVER)
def test_a_metadata_service_is_never_allowed(address: str) -> None:
    """Link-local and metadata addresses stay refused where private ones are allowed, by any spelling."""
    assert forbidden(ip_address(address), allow_private=True)
    if "." in address and ":" not in address:
        with pytest.raises(BadInput) as fault:
            parse_upstream(f"http://{address}", allow_private=True)
        assert fault.value.code == "forbidden_upstream"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "fd12::1", "8.8.8.8"]
)
def test_a_private_address_may_be_allowed(address: str) -> None:
    """Loopback and private networks are for the platform's settings to allow."""
    assert not forbidden(ip_address(address), allow_private=True)


@given(st.ip_addresses())
def test_what_is_never_allowed_is_never_allowed(address: IPv4Address | IPv6Address) -> None:
    """Allowing private addresses only ever allows more."""
    assert forbidden(address) or not forbidden(address, allow_private=True)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_is_judged_as_itself(address: IPv4Address) -> None:
    """Mapping, NAT64 and 6to4 neither hide an address nor taint one."""
    number = int(address)
    mapped = IPv6Address((0xFFFF << 32) | number)
    nat64 = IPv6Address((0x0064FF9B << 96) | number)
    six_to_four = IPv6Address((0x2002 << 112) | (number << 80))
    assert {forbidden(each) for each in (mapped, nat64, six_to_four)} == {forbidden(address)}


@pytest.mark.parametrize(
    ("raw", "url"),
    [
        ("https://erp.acme.example", "https://erp.acme.example:443"),
        ("http://erp.acme.example/", "http://erp.acme.example:80"),
        ("HTTPS://ERP.Acme.Example.:8443", "https://erp.acme.example:8443"),
        (" http://8.8.8.8:8080 ", "http://8.8.8.8:8080"),
        ("http://[2606:4700::1111]:8080", "http://[2606:4700::1111]:8080"),
        ("http://backend:8080", "http://backend:8080"),
        ("http://backend:8080/app", "http://backend:8080/app"),
        ("https://erp.acme.example/a/b.c/", "https://erp.acme.example:443/a/b.c"),
        ("http://[2606:4700::1111]/app:1", "http://[2606:4700::1111]:80/app:1"),
        ("http://backend/" + "a" * 198, "http://backend:80/" + "a" * 198),
    ],
)
def test_an_upstream_has_one_spelling(raw: str, url: str) -> None:
    """Scheme, host and port are written out, so that one upstream is one pool."""
    assert parse_upstream(raw, allow_private=False) == Upstream(url)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "erp.acme.example",
        "//erp.acme.example",
        "file:///etc/passwd",
        "ftp://erp.acme.example",
        "gopher://erp.acme.example",
        "unix:///run/erp.sock",
        "javascript:alert(1)",
        "http://",
        "http:///path",
        "unix:",
        "unix:/",
        "unix:run/erp.sock",
        "unix:/run/../erp.sock",
        "unix:/run/./erp.sock",
        "unix:/run//erp.sock",
        "unix:/run/erp sock",
        "unix:/run/erp.sock?x",
        "unix:/run/%65rp.sock",
        "unix:/run/\x00erp.sock",
        "unix:/" + "a" * 100,
        "UNIX:/run/erp.sock",
        "http://erp.acme.example//app",
        "http://erp.acme.example/app//x",
        "http://erp.acme.example/app/..",
        "http://erp.acme.example/../app",
        "http://erp.acme.example/./app",
        "http://erp.acme.example/a%2e",
        "http://erp.acme.example/a;b",
        "http://erp.acme.example/a\\b",
        "http://erp.acme.example/ä",
        "http://erp.acme.example/app?x",
        "http://erp.acme.example/app#x",
        "http://erp.acme.example/user:hush@x?",
        "http://erp.acme.example/" + "a" * 200,
        "http://erp.acme.example\tweight=3",
        "http://erp.acme.example weight 3",
        "http://erp.acme.example Weight=3",
        "weight=3 http://erp.acme.example",
        "http://erp.acme.example?x",
        "http://erp.acme.example#x",
        "http://user@erp.acme.example",
        "http://user:hush@erp.acme.example",
        "http://erp.acme.example\\@evil.example",
        "http://erp.acme.example:0",
        "http://erp.acme.example:65536",
        "http://erp.acme.example:x",
        "http://erp.acme.example evil.example",
        "http://erp.acme.example\n:80",
        "http://erp\t.acme.example",
        "http://erp_1.acme.example",
        "http://bücher.example",
        "http://127.1",
        "http://0x7f000001",
        "http://0x7f.1",
        "http://2130706433",
        "http://0177.0.0.1",
        "http://127.0.0.1.",
        "http://[::1",
        "http://[fe80::1%25eth0]",
        "http://１２７.0.0.1",  # noqa: RUF001 - full-width digits
    ],
)
def test_what_is_more_or_less_than_an_upstream_is_refused(raw: str) -> None:
    """Only scheme, host and port, in the one spelling that everything below reads alike."""
    with pytest.raises(BadInput) as fault:
        parse_upstream(raw, allow_private=True)
    assert fault.value.code == "bad_upstream"
    assert "hush" not in fault.value.sentence


@pytest.mark.parametrize(
    "raw",
    [
        "http://127.0.0.1",
        "https://10.0.0.1:8443",
        "http://[::1]:8080",
        "http://[::ffff:127.0.0.1]",
        "http://[fd12::254]",
        "http://localhost:8080",
        "http://LOCALHOST",
        "http://x.localhost",
        "http://metadata.google.internal",
        "http://printer.local",
    ],
)
def test_a_private_upstream_needs_the_platforms_leave(raw: str) -> None:
    """What is private by its looks is refused, unless the settings allow it."""
    with pytest.raises(BadInput) as fault:
        parse_upstream(raw, allow_private=False)
    assert fault.value.code == "private_upstream"
    parse_upstream(raw, allow_private=True)


def test_a_unix_socket_needs_the_platforms_leave() -> None:
    """A socket is a door into this machine: whoever may name one may speak to what is behind it."""
    assert parse_upstream("unix:/run/erp/app.sock", allow_private=True) == Upstream("unix:/run/erp/app.sock")
    with pytest.raises(BadInput) as fault:
        parse_upstream("unix:/run/erp/app.sock", allow_private=False)
    assert fault.value.code == "private_upstream"


@pytest.mark.parametrize(
    ("raw", "upstream"),
    [
        ("http://backend:80 weight=3", Upstream("http://backend:80", 3)),
        ("http://backend:80/app   weight=100 ", Upstream("http://backend:80/app", 100)),
        ("unix:/run/erp.sock weight=2", Upstream("unix:/run/erp.sock", 2)),
        ("http://backend:80 weight=1", Upstream("http://backend:80")),
    ],
)
def test_an_upstream_may_have_a_weight(raw: str, upstream: Upstream) -> None:
    """Its share beside the tenant's others; what is written for people can be typed again."""
    assert parse_upstream(raw, allow_private=True) == upstream
    assert parse_upstream(spelled(upstream), allow_private=True) == upstream


@pytest.mark.parametrize(
    "weight", ["0", "101", "999", "1000", "-1", "1.5", "", "three", "3 weight=4", "\u0663"]
)
def test_a_weight_that_is_none_is_refused(weight: str) -> None:
    """A whole number from 1 to 100."""
    with pytest.raises(BadInput) as fault:
        parse_upstream(f"http://backend weight={weight}", allow_private=True)
    assert fault.value.code == "bad_weight"


def test_upstreams_are_named_once() -> None:
    """What is said twice counts once; with two weights it cannot be meant."""
    one, two = Upstream("http://a:80"), Upstream("http://b:80", 3)
    assert check_distinct([one, two, one]) == (one, two)
    with pytest.raises(BadInput) as fault:
        check_distinct([one, two, Upstream("http://a:80", 2)])
    assert fault.value.code == "bad_weight"


def test_the_platforms_upstreams_are_read_by_the_same_rules() -> None:
    """What is wrong with the setting is told as one of the settings' faults."""
    given = ["http://backend:80 weight=3", "https://erp.acme.example"]
    expected = (Upstream("http://backend:80", 3), Upstream("https://erp.acme.example:443"))
    assert default_upstreams(given, allow_private=False) == expected
    assert default_upstreams([], allow_private=False) == ()
    for wrong in (["http://127.0.0.1"], ["unix:/run/x"], ["http://a", "http://a weight=2"]):
        with pytest.raises(BadSettings) as fault:
            default_upstreams(wrong, allow_private=False)
        assert fault.value.code == "bad_default_upstream"
        assert "ROUTER_DEFAULT_UPSTREAMS" in fault.value.sentence


@given(st.text(st.sampled_from("htp:/unixweg=13 .%?#@a[]"), max_size=40))
def test_no_text_breaks_the_parser(raw: str) -> None:
    """Whatever is typed is read or refused, and what is read is read the same again."""
    try:
        upstream = parse_upstream(raw, allow_private=True)
    except BadInput:
        return
    assert parse_upstream(spelled(upstream), allow_private=True) == upstream


def test_a_url_is_taken_apart_again() -> None:
    """Whoever connects gets the host as a resolver wants it."""
    assert split_upstream("http://[2606:4700::1111]:8080") == ("2606:4700::1111", 8080)
    assert split_upstream("https://erp.acme.example:443") == ("erp.acme.example", 443)
    assert split_upstream("http://[2606:4700::1111]:8080/a:b") == ("2606:4700::1111", 8080)
    assert socket_path("unix:/run/erp.sock") == "/run/erp.sock"
    assert socket_path("http://erp.acme.example:80") is None


class Resolving(asyncio.SelectorEventLoop):
    """A loop whose resolver knows one name."""

    def __init__(self, answers: Sequence[str]) -> None:
        super().__init__()
        self.answers = answers

    async def getaddrinfo(self, _host: object, port: object, **_: object) -> list[tuple[object, ...]]:  # type: ignore[override]
        """Resolve every name to the addresses given."""
        if not self.answers:
            raise OSError("no such name")
        return [(2, 1, 6, "", (answer, port)) for answer in self.answers]


def check_with(answers: Sequence[str], *, allow_private: bool = False, path: str = "") -> Upstream:
    """Check an upstream whose name leads to these addresses."""
    with asyncio.Runner(loop_factory=lambda: Resolving(answers)) as runner:
        return runner.run(check_upstream(f"http://erp.acme.example{path}", allow_private=allow_private))


@pytest.mark.parametrize(
    "answers", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["fd12::1"], ["::ffff:127.0.0.1"]]
)
def test_a_name_that_leads_to_a_private_address_is_refused_when_saved(answers: list[str]) -> None:
    """One private address among several is enough."""
    with pytest.raises(BadInput) as fault:
        check_with(answers)
    assert fault.value.code == "private_upstream"
    with pytest.raises(BadInput):
        check_with(answers, path="/app weight=3")
    check_with(answers, allow_private=True)


@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize("answers", [["169.254.169.254"], ["8.8.8.8", "fe80::1%eth0"], ["fd00:ec2::254"]])
def test_a_name_that_leads_to_a_metadata_service_is_refused(
    answers: list[str], *, allow_private: bool
) -> None:
    """Whatever the settings allow."""
    with pytest.raises(BadInput) as fault:
        check_with(answers, allow_private=allow_private)
    assert fault.value.code == "forbidden_upstream"


@pytest.mark.parametrize("answers", [["8.8.8.8"], ["2606:4700::1111", "1.1.1.1"], []])
def test_a_name_that_leads_elsewhere_or_nowhere_yet_is_taken(answers: list[str]) -> None:
    """An upstream may be set up after its tenant; connecting judges again."""
    assert check_with(answers).url == "http://erp.acme.example:80"
