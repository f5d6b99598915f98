"""A browser at the portal's real door: TLS, cookies, forms, redirects one by one; and a mailbox."""

from __future__ import annotations

import asyncio
import email
import re
from email import policy
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from tests.waiting import until

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

    from tests.journeys.node import Answer, Node

_FORM = re.compile(r'<form[^>]*action="([^"]*)".*?</form>', re.DOTALL)
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
_LINK = re.compile(r"https://\S+")


class Browser:
    """One person's browser, at one hostname; it follows nothing by itself."""

    def __init__(self, node: Node, host: str | None = None) -> None:
        self._node = node
        self.host = host or node.host
        self.jar: dict[str, str] = {}

    def get(self, path: str, *lines: bytes, method: bytes = b"GET", host: str | None = None) -> Answer:
        """Go to an address, as a person does who reads HTML."""
        return self._ask(method, path, [b"Accept: text/html", *lines], b"", host)

    def post(self, path: str, fields: dict[str, str], *lines: bytes, origin: str | None = None) -> Answer:
        """Send a form from a page of this very site, unless ``origin`` says otherwise."""
        said = [
            b"Accept: text/html",
            b"Content-Type: application/x-www-form-urlencoded",
            b"Origin: " + (origin or f"https://{self.host}").encode(),
        ]
        return self._ask(b"POST", path, [*said, *lines], urlencode(fields).encode(), None)

    def fill(self, address: str, **typed: str) -> Answer:
        """Open a page, fill in its form, send it."""
        page = self.get(address)
        assert page.status == 200, page.body.decode()
        return self.post(address.partition("?")[0], {**hidden(page), **typed})

    def _ask(self, method: bytes, path: str, lines: list[bytes], body: bytes, host: str | None) -> Answer:
        cookies = "; ".join(f"{name}={value}" for name, value in self.jar.items()).encode()
        head = [
            b"%b %b HTTP/1.1" % (method, path.encode()),
            b"Host: " + (host or self.host).encode(),
            b"Content-Length: %d" % len(body),
            *([b"Cookie: " + cookies] if cookies else []),
            *lines,
        ]
        with self._node.connect(self.host) as client:
            answer = client.ask(b"\r\n".join([*head, b"", body]), to_head=method == b"HEAD")
        for cookie in answer.fields("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.jar.pop(name, None)
            if value.strip('"'):
                self.jar[name] = value
        return answer


def hidden(page: Answer, form: int = 0) -> dict[str, str]:
    """The hidden fields of a page's form, the first unless said."""
    found = list(_FORM.finditer(page.body.decode()))
    return {unescape(name): unescape(value) for name, value in _HIDDEN.findall(found[form][0])}


class Mailbox:
    """The folder that the router writes its mails into."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def received(self, recipient: str) -> list[EmailMessage]:
        """What somebody has got so far."""
        read = [
            email.message_from_bytes(path.read_bytes(), policy=policy.default)
            for path in sorted(self._folder.glob("mail_*.eml"))
        ]
        return [message for message in read if str(message["To"]) == recipient]

    def link(self, recipient: str, page: str) -> str:
        """Wait for a mail to somebody that leads to a page; its link."""
        asyncio.run(until(lambda: bool(self._links(recipient, page))))
        return self._links(recipient, page)[-1]

    def _links(self, recipient: str, page: str) -> list[str]:
        texts = [
            str(part.get_content())
            for message in self.received(recipient)
            for part in message.iter_parts()
            if part.get_content_type() == "text/plain"
        ]
        links = [link for text in texts for link in _LINK.findall(text)]
        return [link for link in links if urlsplit(link).path == page]


def target(link: str) -> str:
    """What a browser asks a link's host for."""
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}"
