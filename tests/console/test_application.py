"""What holds for every answer of the API: its form, its fields, and what it tells of failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from router.errors import Unavailable

if TYPE_CHECKING:
    from tests.console.stand import Stand

LINE = "acme/invoice-line"

# What is said before any database is asked does not depend on which it is.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "acme/nothing", 404, "not_found"),
        ("POST", "acme/nothing", 404, "not_found"),
        ("POST", "acme/invoice-line/", 404, "not_found"),
        ("POST", "acme/Invoice-Line", 404, "not_found"),
        ("POST", "acme/../acme/invoice-line", 200, ""),
        ("GET", "../nothing", 404, "not_found"),
        ("GET", "../-/sign-in", 404, "not_found"),
        ("GET", "../../healthz", 404, "not_found"),
        ("GET", LINE, 405, "method_not_allowed"),
        ("HEAD", LINE, 405, ""),
        ("OPTIONS", LINE, 405, "method_not_allowed"),
        ("PUT", LINE, 405, "method_not_allowed"),
        ("DELETE", LINE, 405, "method_not_allowed"),
    ],
)
async def test_other_paths_and_methods(stand: Stand, method: str, path: str, status: int, code: str) -> None:
    """Told as problems; a method that a path does not have, with those it has."""
    body = b'{"customer": "C-1"}'
    answer = await stand.billing.send(method, path, {"Content-Type": "application/json"}, body)
    assert answer.status == status
    if code:
        assert answer.code == code
    if status == 405:
        assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    ("path", "token"),
    [(LINE, True), (LINE, False), ("acme/nothing", True)],
    ids=["done", "refused", "unknown"],
)
async def test_every_answer_is_protected(stand: Stand, path: str, *, token: bool) -> None:
    """Kept nowhere, no page, nobody's script; no word of what made it, nothing for another site to read."""
    if not token:
        stand.billing.token = "none"
    answer = await stand.billing.post(path, {"customer": "C-1"}, {"Origin": "https://evil.example"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Server"] == "tenant-router"
    assert "Set-Cookie" not in answer.headers
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


async def test_a_problem_names_the_request(stand: Stand) -> None:
    """By the id that is in the router's log."""
    answer = await stand.billing.post("acme/nothing", {})
    assert answer.data["request_id"] == "req-1"
    assert answer.data["title"] == "Not Found"


async def test_an_outage_is_503(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """With when to try again, and no word of what is behind it."""

    async def away(*_: object) -> None:
        raise Unavailable("database_unavailable", "The database does not answer.") from OSError("10.0.0.9")

    monkeypatch.setattr(stand.links, "get", away)
    with capture_logs() as logged:
        answer = await stand.billing.post(LINE, {"customer": "C-1"})
    assert (answer.status, answer.code) == (503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert b"10.0.0.9" not in answer.body
    assert any("10.0.0.9" in str(line) for line in logged)


async def test_a_fault_of_ours_is_500(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logged with its cause, told without it."""

    async def broken(*_: object) -> None:
        raise RuntimeError("hush-hush")

    monkeypatch.setattr(stand.links, "get", broken)
    with capture_logs() as logged:
        answer = await stand.billing.post(LINE, {"customer": "C-1"})
    assert (answer.status, answer.code) == (500, "internal")
    assert b"hush" not in answer.body
    [line] = [line for line in logged if line["event"] == "console_failed"]
    assert line["visit"] == "req-1"


async def test_no_token_is_in_a_log(stand: Stand) -> None:
    """Neither a good one nor a wrong one, whatever happens."""
    with capture_logs() as logged:
        await stand.billing.post(LINE, {"customer": "C-1"})
        await stand.billing.post(LINE, {"customer": ""})
        await stand.billing.post(f"{LINE}?token={stand.token}", {})
        await stand.billing.post(LINE, {}, {"Authorization": "Bearer trt_hush"})
    assert "trt_" not in repr(logged)
