from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from router.errors import BadSettings, Unavailable
from router.mail.message import Composed, Message, Sender, build
from router.mail.transport import FolderTransport
from router.mail.transports import sender_of, transport_of

if TYPE_CHECKING:
    from pathlib import Path

SENDER = Sender("portal@example.com")


def message(text: str = "Hello\n") -> Message:
    """A mail to Ada."""
    composed = Composed("Hello", text, "<p>Hello</p>")
    return build(composed, mail_id="mail_1", sender=SENDER, recipient="ada@acme.test", at=1_795_300_000)


async def test_a_folder_gets_a_file_for_each_mail(tmp_path: Path) -> None:
    """Whole, for the owner alone, and once, even where a mail is sent again."""
    folder = tmp_path / "data" / "mails"
    transport = FolderTransport(folder)
    await transport.send(message("first\n"))
    said = await transport.send(message())
    (file,) = folder.iterdir()
    assert file.name == "mail_1.eml"
    assert b"\r\n\r\nHello\r\n" in file.read_bytes()
    assert str(file) in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_folder_that_cannot_be_written_is_an_outage(tmp_path: Path) -> None:
    """The mail waits until it can."""
    (tmp_path / "mails").write_text("a file")
    with pytest.raises(Unavailable) as fault:
        await FolderTransport(tmp_path / "mails").send(message())
    assert fault.value.code == "mail_folder_unusable"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("file:/srv/mails", "<FolderTransport /srv/mails>"),
        ("file:///srv/my%20mails", "<FolderTransport /srv/my mails>"),
        ("file:mails", "<FolderTransport mails>"),
        ("smtp://u:hush@mail.example.com", "<SmtpTransport mail.example.com:587 starttls>"),
        ("smtps://mail.example.com", "<SmtpTransport mail.example.com:465 tls>"),
    ],
)
def test_the_url_chooses_the_transport(url: str, shown: str) -> None:
    """A folder or a server, as it says; no password is in what it calls itself."""
    assert repr(transport_of(url, SENDER)) == shown


@pytest.mark.parametrize("url", ["file://host/srv", "file:", "ftp://host"])
def test_another_url_is_a_fault_of_the_settings(url: str) -> None:
    """The router does not start with it."""
    with pytest.raises(BadSettings) as fault:
        transport_of(url, SENDER)
    assert fault.value.code == "bad_smtp_url"


def test_a_sender_that_cannot_be_is_a_fault_of_the_settings() -> None:
    """What passes for an address at a glance, and is none."""
    assert sender_of("portal@example.com") == SENDER
    with pytest.raises(BadSettings) as fault:
        sender_of("portal@exa mple")
    assert fault.value.code == "bad_mail_from"
