"""What may be sent: JSON, bounded, exact; and how each fault is told."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from router.console.application import MAX_BODY
from router.storage.schema import registration_links

if TYPE_CHECKING:
    from tests.console.stand import Stand

LINE = "acme/invoice-line"

# What is said before any database is asked does not depend on which it is.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {"#/customer": "missing"}),
        ({"customer": ""}, {"#/customer": "bad_customer"}),
        ({"customer": "x" * 81}, {"#/customer": "bad_customer"}),
        ({"customer": "C-1\r\nX: y"}, {"#/customer": "bad_customer"}),
        ({"customer": 1001}, {"#/customer": "bad_value"}),
        ({"customer": None}, {"#/customer": "bad_value"}),
        ({"customer": ["C-1"]}, {"#/customer": "bad_value"}),
        ({"customer": "C-1", "email": "a@x@y"}, {"#/email": "bad_email"}),
        ({"customer": "C-1", "email": "a@b.example\nBcc: c@d.example"}, {"#/email": "bad_email"}),
        ({"customer": "C-1", "email": ""}, {"#/email": "bad_email"}),
        ({"customer": "C-1", "language": "klingon!"}, {"#/language": "bad_language"}),
        ({"customer": "C-1", "tenant_id": "tnt_1"}, {"#/tenant_id": "unknown_field"}),
        ({"customer": "C-1", "a/b~c": 1}, {"#/a~1b~0c": "unknown_field"}),
        ({"customer": "", "email": "x", "language": 1}, {
            "#/customer": "bad_customer", "#/email": "bad_email", "#/language": "bad_value",
        }),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)  # fmt: skip
async def test_each_field_at_fault_is_pointed_to(
    stand: Stand, body: dict[str, Any], faults: dict[str, str]
) -> None:
    """422 with all faults at once, each with its field, its code and a sentence; and nothing is written."""
    answer = await stand.billing.post(LINE, body)
    assert (answer.status, answer.code) == (422, "invalid_body")
    assert {error["pointer"]: error["code"] for error in answer.data["errors"]} == faults
    assert all(error["detail"].endswith(".") for error in answer.data["errors"])
    async with stand.database.read() as connection:
        assert (await connection.execute(select(registration_links))).all() == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_json"),
        (b"{", 400, "bad_json"),
        (b'{"customer": "C-1"} {}', 400, "bad_json"),
        (b"{'customer': 'C-1'}", 400, "bad_json"),
        (b'{"customer": "\xff"}', 400, "bad_json"),
        (b"[" * 30_000, 400, "bad_json"),
        (b"[]", 422, "invalid_body"),
        (b'"C-1001"', 422, "invalid_body"),
        (b"null", 422, "invalid_body"),
    ],
    ids=lambda value: repr(value)[:30] if isinstance(value, bytes) else None,
)
async def test_what_is_no_object(stand: Stand, body: bytes, status: int, code: str) -> None:
    """Told apart: no JSON at all, or JSON of another kind."""
    answer = await stand.billing.post(LINE, body)
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/jsonp"},
    ],
    ids=lambda headers: headers["Content-Type"] or "none",
)
async def test_only_json_is_read(stand: Stand, headers: dict[str, str]) -> None:
    """No form of another site's page can be made to look like a call (THREATS 47)."""
    answer = await stand.billing.post(LINE, {"customer": "C-1"}, headers)
    assert (answer.status, answer.code) == (415, "json_only")
    assert answer.headers["Accept-Post"] == "application/json"


async def test_a_compressed_body_is_not_read(stand: Stand) -> None:
    """A bomb is not unpacked to find out."""
    answer = await stand.billing.post(LINE, gzip.compress(b"[" * 1000), {"Content-Encoding": "gzip"})
    assert (answer.status, answer.code) == (415, "json_only")


async def test_utf_8_may_be_said(stand: Stand) -> None:
    """Some clients do."""
    said = {"Content-Type": "Application/JSON; charset=UTF-8"}
    assert (await stand.billing.post(LINE, {"customer": "C-1"}, said)).status == 200


async def test_a_body_is_bounded(stand: Stand) -> None:
    """Past any sound request: 413."""
    answer = await stand.billing.post(LINE, b'{"customer": "' + b"x" * MAX_BODY + b'"}')
    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_no_fault_repeats_what_was_sent(stand: Stand) -> None:
    """A password that was put into the wrong field is in no answer."""
    answer = await stand.billing.post(LINE, {"customer": "C-1", "language": 1, "email": ["hush-hush"]})
    assert b"hush" not in answer.body
    answer = await stand.billing.post(LINE, b'{"customer": "hush-hush')
    assert b"hush" not in answer.body
