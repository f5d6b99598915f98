"""Cookies: which one opens a session, which ones a backend sees, which ones it may set."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.edge.headers import (
    OWN_COOKIE_PREFIXES,
    SESSION_COOKIE,
    may_set_cookie,
    session_token,
    without_own_cookies,
)
from tests.edge.heads import arrival, visit

OURS = SESSION_COOKIE.decode()
PLATFORM = b"portal.example"

# What a Cookie line may hold, once llhttp has let it through.
LINES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")).map(
    lambda text: text.encode("latin-1")
)
PAIRS = st.sampled_from(
    [
        f"{OURS}=token",
        f"{OURS}=",
        OURS,
        f"{OURS} =odd",
        f"\t{OURS}=tab",
        "__Host-portal-csrf=c",
        "__Host-console-session=s",
        "__host-portal-session=lower",
        "a=1",
        "b=2=3",
        f"c={OURS}=x",
        f"x{OURS}=y",
        '"d=4"',
        "",
        " ",
    ]
)


@pytest.mark.parametrize(
    ("line", "token"),
    [
        (f"{OURS}=abc", "abc"),
        (f"a=1; {OURS}=abc; b=2", "abc"),
        (f"a=1;{OURS}=abc;b=2", "abc"),
        (f"a=1;\t {OURS}=abc", "abc"),
        (f"{OURS}=", ""),
        (f"{OURS}=a=b", "a=b"),
        (f"{OURS}=caf\xe9", "caf\xe9"),
        ("", None),
        ("a=1", None),
        (OURS, None),
        (f"{OURS}x=abc", None),
        (f"x{OURS}=abc", None),
        (f"a={OURS}=abc", None),
        (f"{OURS.lower()}=abc", None),
        (f"{OURS}=abc; {OURS}=evil", None),
        (f"{OURS}=abc; {OURS}=abc", None),
        (f"{OURS}=abc;{OURS}=", None),
        (f"{OURS}=abc; {OURS} =evil", None),
        (f'a="1; {OURS}=evil"; {OURS}=abc', None),
    ],
)
def test_one_session_cookie_or_none(line: str, token: str | None) -> None:
    """The token of the one session cookie; two of them open nothing (THREATS 42).

    A sibling sub-domain that can add a second one must not choose which is believed.
    """
    assert session_token(line.encode("latin-1")) == token


def test_two_cookie_fields_are_one_line() -> None:
    """A second Cookie field is not a way around it."""
    one = f"Cookie: {OURS}=abc".encode()
    once = visit(b"Cookie: a=1", one).cookies
    assert once is not None
    assert (once.token, once.passed_on) == ("abc", b"a=1")
    twice = visit(one, b"Cookie: a=1", one).cookies
    assert twice is not None
    assert (twice.token, twice.passed_on) == (None, b"a=1")


def test_a_connection_remembers_no_one_elses_cookies() -> None:
    """The visits of one connection are told apart by their cookies, whatever was remembered of the last."""
    connection = arrival()
    tokens = []
    for text in ("abc", "abc", "def", "", "abc"):
        lines = [f"Cookie: {OURS}={text}".encode()] if text else []
        cookies = visit(*lines, by=connection).cookies
        tokens.append(cookies.token if cookies is not None else None)
    assert tokens == ["abc", "abc", "def", None, "abc"]


def test_connection_cookie_is_anonymous() -> None:
    """``Connection: Cookie`` takes the cookies away from everybody, the session check included."""
    assert visit(b"Connection: close, Cookie", f"Cookie: {OURS}=abc".encode()).cookies is None


@pytest.mark.parametrize(
    ("line", "passed_on"),
    [
        ("a=1; b=2", "a=1; b=2"),
        (f"{OURS}=abc", ""),
        (f"{OURS}=abc; b=2", "b=2"),
        (f"a=1; {OURS}=abc", "a=1"),
        (f"a=1; {OURS}=abc; b=2", "a=1; b=2"),
        (f"a=1;{OURS}=abc;b=2", "a=1;b=2"),
        (f"a=1; {OURS}=x; {OURS}=y; __Host-portal-csrf=z; b=2", "a=1; b=2"),
        ("a=1; __Host-console-session=x; __Host-console-csrf=y; b=2", "a=1; b=2"),
        (f"a=1; {OURS}; b=2", "a=1; b=2"),
        (f"a={OURS}; b=2", f"a={OURS}; b=2"),
        ("", ""),
    ],
)
def test_our_cookies_are_not_forwarded(line: str, passed_on: str) -> None:
    """All cookies of ours are taken out, all others stay in their order (THREATS 36)."""
    assert without_own_cookies(line.encode()) == passed_on.encode()


def pairs(line: bytes) -> list[bytes]:
    """The pairs of a Cookie line, as RFC 6265 section 5.4 joins them."""
    return [pair for raw in line.split(b";") if (pair := raw.strip(b" \t"))]


@given(st.one_of(LINES, st.lists(PAIRS, max_size=8).map(lambda some: "; ".join(some).encode("latin-1"))))
@example(b";" + SESSION_COOKIE + b"=x")
def test_no_cookie_of_ours_in_any_line(line: bytes) -> None:
    """Of any line nothing of ours is left, everything else is, and a token is a lone session cookie's."""
    passed_on = without_own_cookies(line)
    assert pairs(passed_on) == [pair for pair in pairs(line) if not pair.startswith(OWN_COOKIE_PREFIXES)]
    names = [pair.partition(b"=")[0].rstrip(b" \t") for pair in pairs(line) if b"=" in pair]
    assert (session_token(line) is not None) == (names.count(SESSION_COOKIE) == 1)


@pytest.mark.parametrize(
    "value",
    [
        b"a=1",
        b"a=1; Path=/; Secure; HttpOnly",
        b"a=1; Domain=acme.portal.example",
        b"a=1; Domain=.acme.portal.example",
        b"a=1; Domain=billing.acme.com",
        b"a=1; Domain=",
        b"a=1; Domain",
        b"a=1; NotDomain=portal.example",
        b"a=portal.example",
        b"a=__Host-portal-session",
        b"__Host-other=1; Path=/; Secure",
        b"__Secure-portal-session=1; Secure",
        b"a=1; Domain=notportal.example",
        b"a=1; Domain=portal.example.org",
    ],
)
def test_an_upstream_sets_its_own_cookies(value: bytes) -> None:
    """A cookie of the backend's, for its own host or below, is passed on."""
    assert may_set_cookie(value, PLATFORM)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"__Host-portal-session=evil; Path=/; Secure", id="our session"),
        pytest.param(b"__Host-portal-csrf=evil", id="our csrf"),
        pytest.param(b"__Host-console-session=evil; Path=/; Secure", id="the console's session"),
        pytest.param(b"__host-CONSOLE-x=evil", id="the console's, in other letters"),
        pytest.param(b"__HOST-Portal-Session=evil", id="in another case"),
        pytest.param(b" \t__Host-portal-session =evil", id="with spaces"),
        pytest.param(b"__Host-portal-session", id="without a value"),
        pytest.param(b"__Host-portal-session; Path=/", id="without a value, with attributes"),
        pytest.param(b"=__Host-portal-session=evil", id="without a name, but browsers send one"),
        pytest.param(b"=a", id="without a name"),
        pytest.param(b"", id="empty"),
        pytest.param(b"; Domain=acme.com", id="attributes only"),
        pytest.param(b"a=1; Domain=portal.example", id="for the platform"),
        pytest.param(b"a=1; Domain=.portal.example", id="with a dot before"),
        pytest.param(b"a=1; Domain=portal.example.", id="with a dot behind"),
        pytest.param(b"a=1; domain=PORTAL.Example", id="in another case"),
        pytest.param(b"a=1;DOMAIN = portal.example ", id="with spaces around"),
        pytest.param(b'a=1; Domain="portal.example"', id="quoted"),
        pytest.param(b"a=1; Domain=example", id="for what is above the platform"),
        pytest.param(b"a=1; Domain=acme.com; Domain=portal.example", id="a second Domain, which counts"),
        pytest.param(b"a=1; Domain=portal.example; Domain=acme.com", id="a first Domain"),
        pytest.param(b"a=1; Domain=%70ortal.example", id="percent-encoded"),
        pytest.param("a=1; Domain=pörtal.example".encode(), id="not ASCII, so an A-label to a browser"),
    ],
)
def test_an_upstream_sets_no_cookie_of_ours(value: bytes) -> None:
    """Nothing named as ours, and nothing that every tenant's portal would get (THREATS 43)."""
    assert not may_set_cookie(value, PLATFORM)


@given(
    st.binary(max_size=20),
    st.lists(
        st.sampled_from([b"Path=/", b"Secure", b"Domain=acme.com", b" Domain =\tportal.example", b"=", b""])
    ),
)
def test_a_cookie_that_passes_is_not_ours(value: bytes, attributes: list[bytes]) -> None:
    """Whatever the value, what passes neither begins as ours nor names the platform."""
    cookie = b";".join([value, *attributes])
    if may_set_cookie(cookie, PLATFORM):
        name = value.strip(b" \t").lower()
        assert not name.startswith(tuple(prefix.lower() for prefix in OWN_COOKIE_PREFIXES))
        assert b" Domain =\tportal.example" not in attributes
