from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from router.forms import Csrf
from router.portal.forms import local_target

CORPUS = Path(__file__).parent.parent / "corpora" / "open_redirects.txt"
ORIGIN = "https://acme.portal.example"


def payloads() -> list[str]:
    """Read the corpus; a line that begins with # and a space is a comment."""
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line not in ("", "#") and not line.startswith("# ")]


def leads_to(target: str) -> str:
    """Say which origin a browser goes to, by WHATWG's reading: backslashes are slashes, tabs vanish."""
    seen = "".join(character for character in target.strip() if character not in "\t\r\n").replace("\\", "/")
    parts = urlsplit(urljoin(ORIGIN + "/-/sign-in", seen))
    return f"{parts.scheme}://{parts.netloc}"


@pytest.mark.parametrize("payload", payloads())
def test_no_payload_leads_away(payload: str) -> None:
    """Each line of the corpus of open redirects ends at the start page."""
    assert local_target(unquote(payload)) == "/"


def test_the_corpus_is_there() -> None:
    """The corpus is as large as it was when it was written."""
    assert len(payloads()) >= 220


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/invoices",
        "/invoices/",
        "/invoices?month=2026-11&sort=-date",
        "/invoices?next=https://elsewhere.example/",
        "/invoices?path=//x",
        "/invoices?text=a%0Ab%5Cc",
        "/invoices#total",
        "/a//b",
        "/a/../b",
        "/@someone",
        "/files/my%20file.pdf",
        "/files/a%2Fb",
        "/files/100%25",
        "/caf%C3%A9/%F0%9F%90%B1",
        "/:8080",
        "/http://evil.example",
        "/-/account",
        "/-/sign",
        "/sign-in",
        "/x" * 1024,
    ],
)
def test_paths_of_the_portal_are_kept_byte_for_byte(target: str) -> None:
    """Where somebody was going is where they go after signing in."""
    assert local_target(target) == target


def test_endless_targets_are_dropped() -> None:
    """A target over 2,048 characters is no target."""
    assert local_target("/" + "x" * 2048) == "/"


_PIECES = st.one_of(
    st.sampled_from("/\\.@:?#;-a\t\n\r\0 \u3002\uff0f"),
    st.sampled_from(("//", "..", "%2f", "%5c", "%2e", "%252f", "%09", "http:", "evil.example", "sign-out")),
)


@settings(max_examples=1000)
@given(st.one_of(st.lists(_PIECES, max_size=12).map("".join), st.text(max_size=60)))
@example("/\t/evil.example")
def test_nothing_whatever_leads_away(raw: str) -> None:
    """Whatever is asked for, the browser stays on this origin, however often the path is decoded after it."""
    target = local_target(raw)
    assert target in ("/", raw)
    assert target.isascii()
    assert target.isprintable()
    path = target.partition("?")[0].partition("#")[0]
    for _ in range(4):
        assert leads_to(path) == ORIGIN
        assert not path.startswith("//")
        path = unquote(path)


KEY = b"k" * 32


def test_a_pair_matches() -> None:
    """The token made for a cookie at a tenant is accepted with that cookie there."""
    csrf = Csrf(KEY)
    pair = csrf.pair("tnt_a", None)
    assert csrf.matches("tnt_a", pair.cookie, pair.token)


def test_several_tabs_share_a_cookie() -> None:
    """A second page keeps the browser's cookie, so that the first page's form still works."""
    csrf = Csrf(KEY)
    first = csrf.pair("tnt_a", None)
    second = csrf.pair("tnt_a", first.cookie)
    assert second == first


@pytest.mark.parametrize("cookie", [None, "", "short", "x" * 4096, "ü" * 22, "a" * 21 + ";", "\0" * 22])
def test_a_cookie_that_is_not_ours_is_replaced(cookie: str | None) -> None:
    """Whatever else a browser sends as the cookie makes no token and is replaced."""
    csrf = Csrf(KEY)
    pair = csrf.pair("tnt_a", cookie)
    assert pair.cookie != cookie
    assert not csrf.matches("tnt_a", cookie, pair.token)


def test_a_token_is_good_for_one_browser_tenant_and_key() -> None:
    """A token of another cookie, another tenant or another platform is refused."""
    csrf = Csrf(KEY)
    mine, theirs = csrf.pair("tnt_a", None), csrf.pair("tnt_a", None)
    assert not csrf.matches("tnt_a", mine.cookie, theirs.token)
    assert not csrf.matches("tnt_b", mine.cookie, mine.token)
    assert not Csrf(b"x" * 32).matches("tnt_a", mine.cookie, mine.token)


@given(st.text(max_size=60))
def test_no_other_token_is_accepted(token: str) -> None:
    """Nothing that somebody makes up is a token, whatever characters are in it."""
    assert not Csrf(KEY).matches("tnt_a", "a" * 22, token)
