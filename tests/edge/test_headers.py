"""Which fields are dropped, kept and added: nobody speaks in our name."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.edge.headers import (
    ANSWER_VERDICTS,
    REQUEST_VERDICTS,
    Header,
    Kind,
    allowed_trailers,
    connection_options,
    encode_value,
    identity_lines,
    without_named,
)
from tests.edge.heads import visit

OURS = [
    "X-Portal-Tenant",
    "X-Portal-User",
    "X-Portal-Email",
    "X-Portal-Customer",
    "X-Portal-Jwt-Assertion",
    "X-Portal-Whatever-Comes-Next",
    "X-Router-Tenant",
    "X-Router-Host",
    "X-Router-Client",
    "X-Router-Scheme",
    "X-Router-Request-Id",
    "X-Request-Id",
    "X-Real-IP",
    "Forwarded",
    "X-Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Uri",
    "X-Forwarded-User",
    "X-Original-Forwarded-For",
    "X-Original-Host",
    "X-Original-URI",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Client-IP",
    "True-Client-IP",
    "Proxy",
]
HOP_BY_HOP = [
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authorization",
    "Proxy-Authenticate",
    "TE",
    "Trailer",
    "HTTP2-Settings",
]
THE_BACKENDS = ["Authorization", "Accept", "User-Agent", "X-Requested-With", "X-Api-Key", "Sec-WebSocket-Key"]


def mixed(name: str) -> str:
    """The name in cases that alternate."""
    return "".join(letter.upper() if at % 2 else letter.lower() for at, letter in enumerate(name))


SPELLINGS = [str, str.lower, str.upper, mixed, str.swapcase]


def kept_names(*names: str) -> list[str]:
    """The names that an upstream sees of a request with these fields."""
    return [name.decode() for name, _ in visit(*(f"{name}: stranger".encode() for name in names)).kept]


@pytest.mark.parametrize("name", OURS + HOP_BY_HOP)
@pytest.mark.parametrize("spell", SPELLINGS, ids=["exact", "lower", "upper", "mixed", "swapped"])
def test_a_stranger_cannot_speak_in_our_name(name: str, spell: type[str]) -> None:
    """An identity, forwarding or hop-by-hop field never reaches an upstream, however it is spelled.

    THREATS 30, 34.
    """
    assert kept_names(spell(name), "Accept", spell(name)) == ["Accept"]


@pytest.mark.parametrize("name", [*OURS, "Content-Length", "Accept", "Cookie", "Host"])
def test_underscores_are_dropped(name: str) -> None:
    """A name that CGI-like backends would confuse with its twin with hyphens is dropped (CVE-2025-64484)."""
    for spelling in (name.replace("-", "_"), name.replace("-", "_", 1), f"{name}_", f"_{name}"):
        if "_" in spelling:
            assert kept_names(spelling, spelling.lower(), spelling.upper()) == []


@pytest.mark.parametrize("name", THE_BACKENDS)
@pytest.mark.parametrize("spell", SPELLINGS, ids=["exact", "lower", "upper", "mixed", "swapped"])
def test_other_fields_go_on_as_they_were_spelled(name: str, spell: type[str]) -> None:
    """What is the backend's business goes on, in its order and spelling, duplicates included."""
    assert kept_names(spell(name), "Zeta", spell(name)) == [spell(name), "Zeta", spell(name)]


@given(
    st.sampled_from([b"x-portal-", b"x-router-", b"x-forwarded-"]),
    st.from_regex(rb"[!#$%&'*+.^_`|~0-9a-z-]{0,40}", fullmatch=True),
    st.data(),
)
def test_our_prefixes_are_ours_in_any_case(prefix: bytes, rest: bytes, data: st.DataObject) -> None:
    """Whatever follows a prefix of ours, in whatever case, is not kept, and stays so when asked again."""
    lower = prefix + rest
    name = bytes(data.draw(st.sampled_from([octet, ord(chr(octet).upper())])) for octet in lower)
    for _ in range(2):
        assert REQUEST_VERDICTS[name] is not Kind.KEEP


@given(st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,80}", fullmatch=True))
def test_case_never_changes_a_verdict(name: bytes) -> None:
    """Field names are case-insensitive (RFC 9110 section 5.1), and so are verdicts, both ways."""
    for verdicts in (REQUEST_VERDICTS, ANSWER_VERDICTS):
        assert verdicts[name] is verdicts[name.lower()] is verdicts[name.upper()]


@pytest.mark.parametrize("verdicts", [REQUEST_VERDICTS, ANSWER_VERDICTS], ids=["requests", "answers"])
def test_what_is_remembered_is_bounded(verdicts: dict[bytes, Kind]) -> None:
    """A stranger who invents names fills a bounded memory, and the verdicts stay what they are."""
    for number in range(10_000):
        assert verdicts[b"X-Invented-%d" % number] is Kind.KEEP
        assert len(verdicts) <= 4096
    assert verdicts[b"Content-Length"] is Kind.CONTENT_LENGTH


@pytest.mark.parametrize("verdicts", [REQUEST_VERDICTS, ANSWER_VERDICTS], ids=["requests", "answers"])
def test_long_names_are_not_remembered(verdicts: dict[bytes, Kind]) -> None:
    """The names remembered are short ones: 4096 of 32 KiB each would be 128 MiB."""
    long = b"X-" + b"a" * 30_000
    assert verdicts[long] is Kind.KEEP
    assert long not in verdicts


@pytest.mark.parametrize("name", ["X-Router-Tenant", "x-router-host", "Keep-Alive", "Trailer", "Odd_Name"])
def test_answers_do_not_speak_in_our_name_either(name: str) -> None:
    """An upstream's X-Router-* and hop-by-hop fields end here."""
    assert ANSWER_VERDICTS[name.encode()] is Kind.DROP


# -- Connection -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (b"close", {b"close"}),
        (b"Close", {b"close"}),
        (b"keep-alive, Upgrade", {b"keep-alive", b"upgrade"}),
        (b" a ,\tb,,c\t", {b"a", b"b", b"c"}),
        (b"", set()),
        (b",, ,", set()),
    ],
)
def test_connection_options_are_a_list(value: bytes, options: set[bytes]) -> None:
    """Comma-separated, in any case, empty elements passed over (RFC 9110 section 5.6.1)."""
    assert connection_options(value) == options


@given(st.binary(max_size=300))
def test_options_are_the_same_when_asked_again(value: bytes) -> None:
    """A value that is remembered reads as it did, and one too long to be remembered reads alike."""
    options = connection_options(value)
    assert connection_options(value) == options
    assert connection_options(value + b"," * 200) == options


def test_connection_names_fields_away() -> None:
    """A field that Connection names was meant for us alone, in whatever case; no other is touched."""
    fields: list[Header] = [(b"X-A", b"1"), (b"x-b", b"2"), (b"X-C", b"3"), (b"x-a", b"4")]
    assert without_named(fields, connection_options(b"X-a, x-B, x-none")) == [(b"X-C", b"3")]
    assert without_named(fields, connection_options(b"close, keep-alive, Upgrade")) == fields


def test_connection_cannot_name_our_fields_away() -> None:
    """``Connection: X-Portal-User`` takes away what the client sent, never what is added (CVE-2024-45410).

    What we add is not among the fields that Connection is applied to.
    """
    seen = visit(b"Connection: close, X-Portal-User, X-Forwarded-For, X-Mine", b"X-Mine: 1", b"Accept: */*")
    assert seen.kept == [(b"Accept", b"*/*")]
    assert not seen.keep_alive


# -- trailers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdicts", [REQUEST_VERDICTS, ANSWER_VERDICTS], ids=["requests", "answers"])
@pytest.mark.parametrize(
    "name",
    [
        b"Content-Length",
        b"Transfer-Encoding",
        b"Host",
        b"Trailer",
        b"Connection",
        b"Cookie",
        b"Set-Cookie",
        b"Authorization",
        b"Content-Type",
        b"Content-Encoding",
        b"Content-Range",
        b"Cache-Control",
        b"Location",
        b"Expect",
        b"X-Forwarded-For",
        b"Forwarded",
        b"Origin",
        b"X-Router-Tenant",
        b"Odd_Name",
    ],
)
def test_trailers_change_nothing_that_was_decided(name: bytes, verdicts: dict[bytes, Kind]) -> None:
    """No trailer frames, routes, authenticates or describes a message afterwards (RFC 9110 6.5.1)."""
    trailers = [(spelling, b"stranger") for spelling in (name, name.lower(), name.upper())]
    assert allowed_trailers(trailers, verdicts) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", [b"X-Portal-User", b"x-portal-jwt-assertion", b"X-REAL-IP", b"X_Portal_User"]
)
def test_trailers_say_no_identity(name: bytes) -> None:
    """A client does not become somebody by a trailer."""
    assert allowed_trailers([(name, b"stranger")], REQUEST_VERDICTS) == []


def test_other_trailers_go_on() -> None:
    """What trailers are for: checksums, signatures, the status of gRPC."""
    trailers = [(b"Grpc-Status", b"0"), (b"Digest", b"x"), (b"X-Checksum", b"y")]
    assert allowed_trailers(trailers, ANSWER_VERDICTS) == trailers
    assert allowed_trailers(trailers, REQUEST_VERDICTS) == trailers


# -- values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ada@example.com", b"ada@example.com"),
        ("C-1001", b"C-1001"),
        ("a+b/c=d;e,f", b"a+b/c=d;e,f"),
        ("", b""),
        ("Müller", b"M%C3%BCller"),
        ("a\r\nX-Portal-User: root", b"a%0D%0AX-Portal-User: root"),
        ("a\x00b\tc\x7f", b"a%00b%09c%7F"),
        ("100%", b"100%25"),
        ("日本", b"%E6%97%A5%E6%9C%AC"),
    ],
)
def test_values_are_encoded(text: str, value: bytes) -> None:
    """Visible ASCII stands as it is; everything else, and the per cent sign, is percent-encoded UTF-8."""
    assert encode_value(text) == value


@given(st.text())
def test_any_text_is_a_safe_value_and_comes_back(text: str) -> None:
    """No text injects a line, and a backend gets the text itself by decoding (THREATS 35)."""
    value = encode_value(text)
    assert all(0x20 <= octet <= 0x7E for octet in value)
    assert unquote(value.decode("ascii"), errors="strict") == text


@given(st.text(), st.text(), st.text(), st.text(), st.text())
def test_identity_is_five_lines_whatever_people_are_called(
    tenant: str, user: str, email: str, customer: str, assertion: str
) -> None:
    """No name, address or reference makes a line of its own, or takes one away."""
    lines = identity_lines(tenant=tenant, user=user, email=email, customer=customer, assertion=assertion)
    assert lines.endswith(b"\r\n")
    assert [line.partition(b": ")[0].decode() for line in lines.split(b"\r\n")[:-1]] == OURS[:5]
    assert b"\r" not in lines.replace(b"\r\n", b"")
