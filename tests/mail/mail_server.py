"""A real SMTP server in the test's own loop: it takes, refuses, hangs or breaks as the test wants it."""

from __future__ import annotations

import asyncio
import email
import ssl
import warnings
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import policy
from typing import TYPE_CHECKING, cast

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from email.message import EmailMessage

TAKEN = "250 2.0.0 OK queued as 4F2A"


@dataclass
class Letterbox:
    """What a server was sent, and how it answers; an answer of none means that none comes."""

    rcpt: list[str | None] = field(default_factory=list)
    """Answers to RCPT, one for each mail; without one it is taken."""
    data: list[str | None] = field(default_factory=list)
    """Answers to the end of DATA, the same way; “cut” breaks the connection instead."""
    sender: str | None = None
    """The answer to every MAIL."""
    got: list[bytes] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    begun: int = 0
    encrypted: list[bool] = field(default_factory=list)
    patience: asyncio.Event = field(default_factory=asyncio.Event)
    """Whoever is to wait waits for this."""

    def messages(self) -> list[EmailMessage]:
        """Read what was taken as a mail program does."""
        return [email.message_from_bytes(each, policy=policy.default) for each in self.got]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Hear who sends."""
        self.begun += 1
        transport = cast("asyncio.Transport", server.transport)
        self.encrypted.append(session.ssl is not None or transport.get_extra_info("ssl_object") is not None)
        if self.sender is not None:
            return self.sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - the same
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Hear to whom."""
        answer = self.rcpt.pop(0) if self.rcpt else "250 OK"
        if answer is None:
            await self.patience.wait()
            return "451 too late"
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        """Take the mail, or not."""
        answer = self.data.pop(0) if self.data else TAKEN
        if answer is None:
            await self.patience.wait()
            return "451 too late"
        if answer == "cut":
            cast("asyncio.Transport", server.transport).abort()
            return TAKEN
        if answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            self.got.append(envelope.content)
            self.to += envelope.rcpt_tos
        return answer

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, told: object
    ) -> AuthResult:
        """Know one password."""
        assert isinstance(told, LoginPassword)
        self.logins.append((told.login, told.password))
        return AuthResult(success=told.password == b"hush:@/%", handled=False)


@asynccontextmanager
async def mail_server(
    box: Letterbox,
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    auth: bool = False,
) -> AsyncIterator[int]:
    """Serve ``box`` on a port of 127.0.0.1; answer the port."""
    loop = asyncio.get_running_loop()

    def accept() -> SMTP:
        with warnings.catch_warnings(action="ignore"):  # it does not see TLS that was there before it
            return SMTP(
                box,
                hostname="mail.test",
                tls_context=starttls,
                authenticator=box.authenticate if auth else None,
                auth_required=auth,
                auth_require_tls=tls is None,
                loop=loop,
            )

    server = await loop.create_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        box.patience.set()
        server.close()
        await server.wait_closed()


@dataclass(frozen=True)
class Authority:
    """An authority that clients trust, and a server's context for one name."""

    ca: trustme.CA = field(default_factory=trustme.CA)

    def server(self, name: str = "127.0.0.1") -> ssl.SSLContext:
        """Make what a server called ``name`` needs."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert(name).configure_cert(context)
        return context

    def trust(self) -> ssl.SSLContext:
        """Make what a client needs to trust it."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context
