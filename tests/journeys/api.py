"""The API from outside: the admin hostname, tokens made on the worker's own database, and calls."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from router.console.tokens import Tokens
from router.storage.bell import SqliteBell
from router.storage.database import Database
from tests.journeys.node import DOMAIN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.journeys.node import Answer, Node

ADMIN = f"admin.{DOMAIN}"


@asynccontextmanager
async def tokens_of(node: Node) -> AsyncIterator[Tokens]:
    """Open a worker's tokens, as ``tenant-router token`` does beside it."""
    database, bell = Database(node.settings.database_url), SqliteBell(node.settings.database_url)
    try:
        yield Tokens(database, bell)
    finally:
        await bell.close()
        await database.close()


def new_token(node: Node, *scopes: str, tenant_id: str | None = None) -> str:
    """Make a token, the platform's unless a tenant is named."""

    async def add() -> str:
        async with tokens_of(node) as tokens:
            return (await tokens.add("Test", scopes, days=1, tenant_id=tenant_id, actor="test"))[0]

    return node.operate(add())


def call(
    node: Node, method: str, path: str, *fields: str, token: str | None = None, body: bytes = b""
) -> Answer:
    """Call the API over a connection of its own, with a token or as nobody."""
    lines = [f"{method} /api/v1{path} HTTP/1.1", f"Host: {ADMIN}", f"Content-Length: {len(body)}", *fields]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    with node.connect(ADMIN) as client:
        return client.ask("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
