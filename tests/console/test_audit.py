"""The audit by the API: filtered, in pieces, taken away as a stream; and each tenant's own alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientError

from router.console.scopes import Scope
from router.storage.auditing import note

if TYPE_CHECKING:
    from router.tenants.tenant import Tenant
    from tests.console.stand import Stand


@pytest.fixture
async def lines(stand: Stand) -> None:
    """Write ten lines about each of Acme, Globex and the platform, an hour apart."""
    async with stand.database.write() as connection:
        for number in range(10):
            for tenant in (stand.acme.id, stand.globex.id, None):
                actor = "operator:ada@example.com" if number % 2 else "cli:root"
                action, at = f"sample.{number}", stand.now + number * 3600
                await note(connection, actor, action, "x", {"was": "ü"}, at, tenant_id=tenant)


async def read(stand: Stand, query: str = "", tenant: Tenant | None = None) -> list[dict[str, Any]]:
    """Read the samples that somebody may read, the newest first."""
    stand.billing.token = await stand.new_token(tenant, Scope.AUDIT_READ)
    answer = await stand.billing.call("GET", f"audit?limit=200&action=sample{query}")
    assert answer.status == 200, answer.body
    items: list[dict[str, Any]] = answer.data["items"]
    return items


async def test_a_line_tells_all_there_is(stand: Stand, lines: None) -> None:
    """Who, when, from where, what, to whom, whose, and how it was."""
    line = (await read(stand, tenant=stand.acme))[0]
    assert line.pop("sequence") > 0
    assert line == {
        "at": "2027-01-15T17:00:00Z",
        "actor": "operator:ada@example.com",
        "address": None,
        "action": "sample.9",
        "subject": "x",
        "tenant": "acme",
        "tenant_id": stand.acme.id,
        "detail": {"was": "ü"},
    }


async def test_a_tenants_token_reads_that_tenants_lines(stand: Stand, lines: None) -> None:
    """And none of another's or the platform's, whatever it asks for."""
    assert len(await read(stand)) == 30
    assert {line["tenant"] for line in await read(stand, tenant=stand.acme)} == {"acme"}
    assert len(await read(stand, "&tenant=acme", stand.acme)) == 10
    for other in ("globex", stand.globex.id, "nobody"):
        answer = await stand.billing.call("GET", f"audit?tenant={other}")
        assert (answer.status, answer.code) == (404, "tenant_not_found")
        assert (await stand.billing.call("GET", f"audit.jsonl?tenant={other}")).status == 404


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("&tenant=acme", 10),
        ("&tenant=nobody", 0),
        ("&actor=cli:root", 15),
        ("&action=sample.3", 3),
        ("&since=2027-01-15T15:00:00Z", 9),
        ("&until=2027-01-15T09:00:00%2B01:00", 0),
        ("&since=2027-01-15T09:00:00Z&until=2027-01-15T10:00:00Z&tenant=globex", 1),
    ],
)
async def test_filters(stand: Stand, lines: None, query: str, count: int) -> None:
    """All that is said must be true of a line."""
    stand.billing.token = await stand.new_token(None, Scope.AUDIT_READ)
    asked = query.lstrip("&") if "action=" in query else f"action=sample{query}"
    assert len((await stand.billing.call("GET", f"audit?limit=200&{asked}")).data["items"]) == count


async def test_the_lines_of_a_tenant_that_is_gone_stay(stand: Stand, lines: None) -> None:
    """Found by its id: the short name may be another's by then."""
    await stand.registry.delete("globex", actor="test")
    found = await read(stand, f"&tenant={stand.globex.id}")
    assert len(found) == 10
    assert {line["tenant"] for line in found} == {None}


@pytest.mark.parametrize(
    "query",
    ["since=yesterday", "since=2027-01-15T09:00:00", "limit=0", "limit=201", "actor=a%00b", "who=me"],
)
async def test_bad_questions(stand: Stand, query: str) -> None:
    """A time without its zone could be any of two dozen: it is refused, as what is none."""
    stand.billing.token = await stand.new_token(None, Scope.AUDIT_READ)
    answer = await stand.billing.call("GET", f"audit?{query}")
    assert (answer.status, answer.code) == (422, "invalid_query")
    assert [each["pointer"] for each in answer.data["errors"]] == [f"#/{query.partition('=')[0]}"]


async def test_pieces_lead_back_in_time(stand: Stand, lines: None) -> None:
    """Each line once, whatever is noted meanwhile."""
    whole = [line["sequence"] for line in await read(stand)]
    seen: list[int] = []
    after: str | None = ""
    while after is not None:
        query = f"audit?limit=7&action=sample{after and '&after=' + after}"
        piece = (await stand.billing.call("GET", query)).data
        seen += [line["sequence"] for line in piece["items"]]
        after = piece["next"]
    assert seen == whole


async def test_it_is_taken_away_as_json_lines(stand: Stand, lines: None) -> None:
    """The same lines, the oldest first, as a file."""
    listed = await read(stand, tenant=stand.acme)
    answer = await stand.billing.call("GET", "audit.jsonl?action=sample")
    assert answer.headers["Content-Type"] == "application/jsonl"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.jsonl"'
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert "RateLimit" in answer.headers
    assert [json.loads(line) for line in answer.body.splitlines()] == listed[::-1]


async def test_an_export_that_fails_is_seen_to(
    stand: Stand, lines: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What breaks off in the middle has no clean end: nobody takes it for the whole."""
    trail = type(stand.use_cases.audit_trail)
    page = trail.stream

    async def broken(*given: Any) -> Any:  # noqa: ANN401 - whatever it is given
        async for line in page(*given):
            yield line
            raise RuntimeError("gone")

    monkeypatch.setattr(trail, "stream", broken)
    stand.billing.token = await stand.new_token(None, Scope.AUDIT_READ)
    with pytest.raises(ClientError):
        await stand.billing.call("GET", "audit.jsonl")
