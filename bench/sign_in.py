"""Signing in as a browser would: the page, its form, and the session cookie that comes of it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from probe import connect
from processes import BenchError
from stage import BROWSER_HEADERS, HOSTNAME, SESSION_COOKIE

if TYPE_CHECKING:
    import http.client

    from stage import Stage

PATH = "/-/sign-in"


def sign_in(port: int, stage: Stage, email: str, password: str) -> str:
    """Return the session cookie's value. Raises ``BenchError`` if the router lets nobody in."""
    connection = connect(port, stage)
    try:
        page, cookies = _visit(connection, "GET", {}, "")
        fields = {**_hidden_fields(page), "email": email, "password": password}
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "Origin": f"https://{HOSTNAME}:{port}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        page, cookies = _visit(connection, "POST", headers, urlencode(fields))
    finally:
        connection.close()
    if SESSION_COOKIE not in cookies:
        said = " ".join(re.sub("<[^>]*>", " ", page).split())
        raise BenchError(f"The router did not sign in its user. It answered: {said[:500]}")
    return cookies[SESSION_COOKIE]


def _visit(
    connection: http.client.HTTPSConnection, method: str, headers: dict[str, str], body: str
) -> tuple[str, dict[str, str]]:
    connection.request(method, PATH, body=body or None, headers={**BROWSER_HEADERS, **headers})
    answer = connection.getresponse()
    cookies: dict[str, str] = {}
    for line in answer.headers.get_all("Set-Cookie", []):
        cookies.update({name: morsel.value for name, morsel in SimpleCookie(line).items()})
    return answer.read().decode(), cookies


def _hidden_fields(page: str) -> dict[str, str]:
    form = _Form()
    form.feed(page)
    return form.hidden


class _Form(HTMLParser):
    """Collects the hidden fields of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a hidden field."""
        said = dict(attrs)
        if tag == "input" and said.get("type") == "hidden":
            self.hidden[said.get("name") or ""] = said.get("value") or ""
