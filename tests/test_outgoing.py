"""Calls that the router makes itself: bounded in time and in what is read, and nowhere it may not go."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from router.outgoing import Answer, NoAnswer, Outgoing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@asynccontextmanager
async def serving(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Serve on loopback; say where, and who came."""
    came: list[web.Request] = []

    async def receive(request: web.Request) -> web.StreamResponse:
        came.append(request)
        return await answer(request)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receive)
    async with TestServer(application, host="127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.port}/a%2Fb?c=d", came


def saying(body: bytes = b"", status: int = 200) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answer so."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers={"Location": "/elsewhere", "Set-Cookie": "a=b"})

    return answer


async def test_a_post_is_made_as_it_is_given() -> None:
    """To the URL as it is spelled, with our name, and with no cookie of the last time."""
    outgoing = Outgoing(None, timeout=10)
    async with serving(saying(b"heard")) as (url, came):
        for _ in range(2):
            assert await outgoing.post(url, b"said", {"X-A": "b"}, most=5) == Answer(200, b"heard")
    for request in came:
        assert (request.method, request.raw_path, request.headers["X-A"]) == ("POST", "/a%2Fb?c=d", "b")
        assert request.headers["User-Agent"] == "tenant-router"
        assert "Cookie" not in request.headers


async def test_redirects_are_answers() -> None:
    """Wherever they lead: nobody goes there."""
    async with serving(saying(status=307)) as (url, came):
        assert (await Outgoing(None, timeout=10).post(url, b"", {})).status == 307
    assert len(came) == 1


async def test_more_than_is_wanted_is_no_answer() -> None:
    """And of who wants the status alone, nothing is read."""
    async with serving(saying(b"x" * 6)) as (url, _):
        with pytest.raises(NoAnswer) as caught:
            await Outgoing(None, timeout=10).post(url, b"", {}, most=5)
        assert not caught.value.again
        assert await Outgoing(None, timeout=10).post(url, b"", {}) == Answer(200)


async def test_time_runs_out() -> None:
    """For who is silent: asking again may help."""

    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(never) as (url, _):
        with pytest.raises(NoAnswer) as caught:
            await Outgoing(None, timeout=0.2).post(url, b"", {})
    assert caught.value.again


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_forbidden_addresses_are_not_connected_to(host: str) -> None:
    """Whether they stand in the URL or a name leads there."""
    async with serving(saying()) as (url, came):
        forbidding = Outgoing(lambda _: True, timeout=10)
        with pytest.raises(NoAnswer) as caught:
            await forbidding.post(url.replace("127.0.0.1", host), b"", {})
    assert not caught.value.again
    assert came == []
