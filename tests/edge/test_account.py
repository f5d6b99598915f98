"""The access log: one line of JSON each, whatever was asked for, and nothing secret in it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.edge.account import refusal_line, visit_line
from router.edge.visit import Door, Visit
from tests.edge.heads import HOST, arrival, networks, visit

TARGETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#")).map(
    lambda text: b"/" + text.encode()
)


def account(
    seen: Visit, tenant_id: str = "tnt_acme", *, octets: int = 7, end: str = "done"
) -> dict[str, object]:
    """The line on a visit, read back; it is one line."""
    line = visit_line(
        seen, tenant_id, status=200, octets=octets, at=1_000_000.1234, elapsed=0.0123456, end=end
    )
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    read = json.loads(line)
    assert isinstance(read, dict)
    return read


def test_what_stands_in_a_line() -> None:
    """When, who, whose, what, how it ended, how much and how long."""
    assert account(visit(method=b"POST", target=b"/a%20b?token=secret", host=b"ACME.portal.example:443")) == {
        "at": 1_000_000.123,
        "visit": "c0ffee-1",
        "client": "203.0.113.9",
        "tenant": "tnt_acme",
        "method": "POST",
        "host": HOST,
        "path": "/a%20b",
        "status": 200,
        "octets": 7,
        "ms": 12.35,
        "end": "done",
    }


def test_nobodys_hostname_is_none() -> None:
    """An IP literal is no host, and a visit without a tenant has none."""
    seen = account(visit(host=b"[::1]"), "")
    assert (seen["host"], seen["tenant"]) == ("", "")


@given(TARGETS)
def test_any_path_is_valid_json(target: bytes) -> None:
    """Quotes, backslashes and braces in a path are part of the path, and its query is not there."""
    assert account(visit(target=target))["path"] == target.partition(b"?")[0].decode()


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")))
def test_any_forwarded_address_is_valid_json(value: str) -> None:
    """What a client claims to be called breaks no line, even one that a trusted network passes on."""
    by = arrival(peer="10.0.0.1", trusted=networks("0.0.0.0/0", "::/0"))
    account(visit(f"X-Forwarded-For: {value}".encode("latin-1"), by=by))


def test_no_secret_is_in_a_line() -> None:
    """Cookies, tokens, credentials, queries and other fields never get there (DESIGN: bad input)."""
    lines = [
        b"Cookie: __Host-portal-session=SECRET; a=SECRET",
        b"Authorization: Bearer SECRET",
        b"X-Custom: SECRET",
        b"User-Agent: SECRET",
        b"Referer: https://acme.portal.example/?SECRET",
    ]
    seen = visit(*lines, target=b"/?SECRET")
    assert b"SECRET" not in visit_line(seen, "t", status=200, octets=0, at=1.0, elapsed=0.0, end="done")


@pytest.mark.parametrize("door", Door)
@pytest.mark.parametrize("peer", ["203.0.113.9", "2001:db8::1", ""])
def test_a_refusal_has_a_line(door: Door, peer: str) -> None:
    """What was no request is in the log with its status and its code, and who sent it."""
    line = refusal_line(arrival(door=door, peer=peer), status=400, code="bad_head", at=1_000_000.5)
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "at": 1_000_000.5,
        "visit": "c0ffee",
        "client": peer,
        "status": 400,
        "end": "bad_head",
    }
