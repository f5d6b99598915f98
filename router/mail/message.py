"""A mail as it goes over the wire: text and HTML, and a head in which nothing can be injected.

PURE. The head is written here, and not by ``email.message``: its header objects decode an encoded word that
somebody put into a name (``=?utf-8?q?x=0D=0ABcc:…?=``) and write the line break in it as one (Python 3.11.7).
What is written here is printable ASCII whatever comes in; an address is used only when it is plain.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final

from router.errors import BadInput
from router.hostname import Hostname

_LONGEST_NAME: Final = 80
_LONGEST_SUBJECT: Final = 200
_LONGEST_PLAIN: Final = 60  # with the longest name of a field still a line of less than 78 (RFC 5322, 2.1.1)
# 12 characters and 52 in base64: with “Subject: ” in front a line of less than 76 (RFC 2047 section 2).
_WORD_OCTETS: Final = 39
_ATOMS: Final = re.compile(r"[A-Za-z0-9 !#$%&'*+/^_`{|}~-]+")  # RFC 5322 section 3.2.3, but for = and ?
_PLAIN_TEXT: Final = re.compile(r"(?:(?!=\?)[ -~])+")
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")  # RFC 5322 section 3.2.3, dot-atom
_LONGEST_ADDRESS: Final = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets
_SENDER: Final = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]+)>")


@dataclass(frozen=True, slots=True)
class Composed:
    """What a mail says, as the theme renders it; in whose name, and who gets the answers (an address)."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    name: str = ""
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom mails are from: the platform's address, and the name beside it where a tenant has none."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        """What follows the @."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Message:
    """A mail, ready to be sent to one recipient; the octets hold links that open an account."""

    id: str
    sender: str
    recipient: str
    octets: bytes = field(repr=False)


def parse_sender(raw: str) -> Sender:
    """Read ``portal@example.com`` or ``Portal <portal@example.com>``.

    Raises ``BadInput("bad_sender")``.
    """
    found = _SENDER.fullmatch(raw.strip())
    name, address = (found["name"], found["address"]) if found else ("", raw.strip())
    try:
        return Sender(plain_address(address), one_line(name, _LONGEST_NAME).strip('"').strip())
    except BadInput as fault:
        sentence = f"“{raw[:80]}” is no sender: write portal@example.com or Portal <portal@example.com>."
        raise BadInput("bad_sender", sentence) from fault


def plain_address(raw: str) -> str:
    """Read an e-mail address that needs no quoting: ASCII before the @, a hostname (IDNA) behind it.

    Raises ``BadInput("bad_email")``.
    """
    local, _, domain = raw.partition("@")
    try:
        address = f"{local}@{Hostname.parse(domain)}"
    except BadInput as fault:
        raise _bad_address(raw) from fault
    if not _LOCAL.fullmatch(local) or len(address) > _LONGEST_ADDRESS:
        raise _bad_address(raw)
    return address


def _bad_address(raw: str) -> BadInput:
    return BadInput("bad_email", f"“{raw[:80]}” is not an e-mail address.")


def one_line(text: str, longest: int) -> str:
    """Bring a text onto one line of printable characters, and no more of them than ``longest``."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:longest]


def build(composed: Composed, *, mail_id: str, sender: Sender, recipient: str, at: int) -> Message:
    """Write a mail from the platform's address; the same ``mail_id`` makes the same Message-ID.

    ``at`` is when it was posted, in unix seconds. Raises ``BadInput("bad_email")`` for a recipient or a
    Reply-To that is not one plain address.
    """
    to = plain_address(recipient)
    head = {
        "From": _mailbox(one_line(composed.name, _LONGEST_NAME) or sender.name, sender.address),
        "To": f"<{to}>",
        "Reply-To": f"<{plain_address(composed.reply_to)}>" if composed.reply_to else "",
        "Subject": _encoded(one_line(composed.subject, _LONGEST_SUBJECT), _PLAIN_TEXT),
        "Date": formatdate(at),
        "Message-ID": f"<{mail_id}@{sender.domain}>",
        "Auto-Submitted": "auto-generated",  # RFC 3834 section 5: no out-of-office note is to answer it
    }
    lines = [f"{key}: {value}\r\n".encode("ascii") for key, value in head.items() if value]
    return Message(mail_id, sender.address, to, b"".join(lines) + _body(composed))


def _body(composed: Composed) -> bytes:
    """Write both parts, and the fields that describe them (RFC 2046 section 5.1.4)."""
    body = EmailMessage(policy=policy.SMTP)
    body.set_content(composed.text, cte="quoted-printable")
    body.add_alternative(composed.html, subtype="html", cte="quoted-printable")
    return body.as_bytes()


def _mailbox(name: str, address: str) -> str:
    shown = _encoded(name, _ATOMS)
    # On a line of its own, so that no line grows too long.
    return f"{shown}\r\n <{address}>" if shown else f"<{address}>"


def _encoded(text: str, plain: re.Pattern[str]) -> str:
    """Leave what is ``plain`` as it is, and write all else as encoded words (RFC 2047 section 2)."""
    if not text or (plain.fullmatch(text) and len(text) <= _LONGEST_PLAIN):
        return text
    words, word = [], b""
    for octets in (char.encode() for char in text):
        if len(word) + len(octets) > _WORD_OCTETS:
            words.append(word)
            word = b""
        word += octets
    return "\r\n ".join(f"=?utf-8?b?{b64encode(each).decode()}?=" for each in (*words, word))
