"""Which transport a setting asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from router.errors import BadInput, BadSettings
from router.mail.message import Sender, parse_sender
from router.mail.smtp import SmtpTransport, parse_server
from router.mail.transport import FolderTransport

if TYPE_CHECKING:
    from router.mail.transport import Transport


def transport_of(url: str, sender: Sender) -> Transport:
    """Make the transport for ``smtp://``, ``smtps://`` or ``file:/folder``; ``sender`` greets by its domain.

    Raises ``BadSettings("bad_smtp_url")``.
    """
    if url.startswith("file:"):
        return FolderTransport(_folder(url))
    return SmtpTransport(parse_server(url), sender.domain)


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"} or not parts.path:
        raise BadSettings("bad_smtp_url", "ROUTER_SMTP_URL cannot be used: a folder is written file:/FOLDER.")
    return Path(unquote(parts.path))


def sender_of(raw: str) -> Sender:
    """Read the setting of whom mails are from. Raises ``BadSettings("bad_mail_from")``."""
    try:
        return parse_sender(raw)
    except BadInput as fault:
        raise BadSettings("bad_mail_from", f"ROUTER_MAIL_FROM cannot be used: {fault.sentence}") from fault
