"""The mail server: encrypted and verified, or in the clear only where the operator's own network is.

What a server says may name people; it is kept beside the mail in the outbox and never logged.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from router.errors import BadSettings, Unavailable
from router.mail.message import one_line
from router.mail.transport import Refused

if TYPE_CHECKING:
    from router.mail.message import Message

Protection = Literal["starttls", "tls", "none"]

WHOLE: Final = 60.0
"""Seconds for one mail, from the connection to the server's last word."""

_STEP: Final = 30.0
_PARTING: Final = 3.0
_PORTS: Final[dict[Protection, int]] = {"starttls": 587, "tls": 465, "none": 25}
_PERMANENT: Final = 500
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where a mail server is and how it is spoken to."""

    host: str
    port: int
    protection: Protection = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)


def parse_server(url: str) -> MailServer:
    """Read ``smtp://`` (STARTTLS, or ``?tls=none``) and ``smtps://`` URLs.

    Raises ``BadSettings("bad_smtp_url")``.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as fault:
        raise _bad_url("it is not a URL") from fault
    options = parse_qs(parts.query, keep_blank_values=True)
    clear = options == {"tls": ["none"]} and parts.scheme == "smtp"
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path.strip("/") or parts.fragment:
        raise _bad_url("it must look like smtp://USER:PASSWORD@HOST:587 or smtps://USER:PASSWORD@HOST:465")
    if options and not clear:
        raise _bad_url("the only option is ?tls=none, and only of smtp://")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise _bad_url("a user name and a password belong together")
    if clear and user:
        raise _bad_url("a password is not sent without TLS")
    protection: Protection = "tls" if parts.scheme == "smtps" else "none" if clear else "starttls"
    return MailServer(parts.hostname, port or _PORTS[protection], protection, user, password)


def _bad_url(why: str) -> BadSettings:
    return BadSettings("bad_smtp_url", f"ROUTER_SMTP_URL cannot be used: {why}.")


class SmtpTransport:
    """Sends by SMTP (RFC 5321), a connection for each mail.

    With ``starttls`` (RFC 3207) a server that does not offer it gets nothing; certificates are verified by
    ``trust``, the system's authorities unless given. With ``none`` the server must be at a loopback or
    private address. ``name`` is how we greet; ``whole`` the seconds for one mail.
    """

    def __init__(
        self, server: MailServer, name: str, *, trust: ssl.SSLContext | None = None, whole: float = WHOLE
    ) -> None:
        self._server = server
        self._name = name
        self._trust = trust or ssl.create_default_context()
        self._whole = whole

    def __repr__(self) -> str:
        return f"<SmtpTransport {self._server.host}:{self._server.port} {self._server.protection}>"

    async def send(self, message: Message) -> str:
        """Send one mail; answer the server's last word.

        Raises ``Refused("mail_refused")`` and ``Unavailable`` (``smtp_unreachable``, ``smtp_timeout``,
        ``smtp_tls_failed``, ``smtp_not_private``, ``smtp_auth_failed``, ``smtp_not_taken``).
        """
        client = SMTP(timeout=_STEP, local_hostname=self._name)
        try:
            async with asyncio.timeout(self._whole):
                said = await self._converse(client, message)
            await _part(client)
        except (SMTPException, OSError, ValueError) as fault:
            raise _translated(fault) from fault
        finally:
            client.close()
        return said

    async def _converse(self, client: SMTP, message: Message) -> str:
        server = self._server
        host = server.host
        if server.protection == "none":
            host = await _private_address(host, server.port)
        await client.connect(
            hostname=host,
            port=server.port,
            use_tls=server.protection == "tls",
            start_tls=server.protection == "starttls",
            tls_context=self._trust,
            username=server.user or None,
            password=server.password or None,
        )
        await client.mail(message.sender)
        await client.rcpt(message.recipient)
        code, text = await client.data(message.octets)
        return _told(code, text)


async def _part(client: SMTP) -> None:
    """Say good-bye; the mail is taken, whatever becomes of that."""
    with suppress(SMTPException, OSError):
        async with asyncio.timeout(_PARTING):
            await client.quit()


async def _private_address(host: str, port: int) -> str:
    """Resolve the name of a server that is spoken to in the clear; only our own networks will do."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    if any(ip_address(address.partition("%")[0]).is_global for address in addresses):
        sentence = f"{host} is not in a private network: without TLS no mail is sent there."
        raise Unavailable("smtp_not_private", sentence)
    return addresses[0]


def _translated(fault: Exception) -> Refused | Unavailable:
    """Tell whose fault it was; the order matters, since the classes of faults overlap."""
    match fault:
        case SMTPRecipientRefused(code=code, message=text) | SMTPDataError(code=code, message=text):
            if code >= _PERMANENT:
                return Refused("mail_refused", f"The mail server refused this mail: {_told(code, text)}")
            return Unavailable("smtp_not_taken", f"The mail server did not take it yet: {_told(code, text)}")
        case SMTPAuthenticationError(code=code):
            # Nothing of what the server says: it was just told the password.
            sentence = f"The mail server does not accept the user name and password ({code})."
            return Unavailable("smtp_auth_failed", sentence)
        case SMTPSenderRefused(code=code, message=text):
            return Unavailable(
                "smtp_sender_refused", f"The mail server refused the sender: {_told(code, text)}"
            )
        case SMTPResponseException(code=code, message=text):
            return Unavailable("smtp_not_taken", f"The mail server is not ready: {_told(code, text)}")
    return _no_conversation(fault)


def _no_conversation(fault: Exception) -> Unavailable:
    origin = fault.__cause__ or fault
    if isinstance(fault, TimeoutError):
        return Unavailable("smtp_timeout", "The mail server did not answer in time.")
    if isinstance(origin, ssl.SSLError):
        why = getattr(origin, "verify_message", None) or origin.reason or "no TLS"
        sentence = f"The mail server's certificate or TLS will not do: {why}."
        return Unavailable("smtp_tls_failed", sentence)
    if isinstance(fault, SMTPException) and not isinstance(fault, OSError):
        # The library's own words, such as that the server offers no STARTTLS.
        why = one_line(str(fault), _LONGEST).rstrip(".")
        return Unavailable("smtp_unusable", f"The mail server cannot be used: {why}.")
    return Unavailable("smtp_unreachable", "The mail server cannot be reached, or it broke the connection.")


def _told(code: int, text: str) -> str:
    return one_line(f"{code} {text}", _LONGEST)
