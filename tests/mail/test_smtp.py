"""SMTP, with real servers that behave in every way servers do."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from router.errors import BadSettings, RouterError, Unavailable
from router.mail.message import Composed, Message, Sender, build
from router.mail.smtp import MailServer, SmtpTransport, parse_server
from router.mail.transport import Refused
from tests.mail.mail_server import TAKEN, Authority, Letterbox, mail_server

if TYPE_CHECKING:
    import ssl

    from router.mail.smtp import Protection

SENDER = Sender("portal@example.com")
PASSWORD = "hush:@/%"


@pytest.fixture(scope="module")
def authority() -> Authority:
    """An authority of our own."""
    return Authority()


def message(text: str = "Hello\n") -> Message:
    """A mail to Ada."""
    composed = Composed("Hello", text, f"<p>{text}</p>")
    return build(composed, mail_id="mail_1", sender=SENDER, recipient="ada@acme.test", at=1_795_300_000)


def clear(port: int, *, whole: float = 10) -> SmtpTransport:
    """A transport in the clear, as to a server on the same machine."""
    return SmtpTransport(MailServer("127.0.0.1", port, "none"), "example.com", whole=whole)


def encrypted(port: int, trust: ssl.SSLContext, user: str = "", password: str = "") -> SmtpTransport:
    """A transport with STARTTLS."""
    return SmtpTransport(
        MailServer("127.0.0.1", port, "starttls", user, password), "example.com", trust=trust
    )


async def fault_of(transport: SmtpTransport) -> RouterError:
    """Send, expect it to fail, and tell how."""
    with pytest.raises(RouterError) as fault:
        await transport.send(message())
    return fault.value


async def test_a_mail_is_taken_and_the_server_has_the_last_word() -> None:
    """What arrives is what was written, and what the server said of it is handed back."""
    async with mail_server(box := Letterbox()) as port:
        assert await clear(port).send(message("one\n.\n.two\n")) == TAKEN
    assert box.to == ["ada@acme.test"]
    (got,) = box.messages()
    assert got["Message-ID"] == "<mail_1@example.com>"
    text, _html = got.iter_parts()
    assert text.get_content().replace("\r\n", "\n") == "one\n.\n.two\n"


async def test_starttls_comes_before_anything_that_matters(authority: Authority) -> None:
    """With smtp:// password and mail are encrypted; name and password are those of the URL, decoded."""
    server = parse_server("smtp://router%40example.com:hush%3A%40%2F%25@127.0.0.1:2525")
    assert (server.user, server.password) == ("router@example.com", PASSWORD)
    box = Letterbox()
    async with mail_server(box, starttls=authority.server(), auth=True) as port:
        await encrypted(port, authority.trust(), server.user, server.password).send(message())
    assert box.encrypted == [True]
    assert box.logins == [(b"router@example.com", PASSWORD.encode())]


async def test_tls_from_the_first_octet(authority: Authority) -> None:
    """With smtps:// there is no conversation before TLS."""
    box = Letterbox()
    async with mail_server(box, tls=authority.server(), auth=True) as port:
        server = MailServer("127.0.0.1", port, "tls", "router", PASSWORD)
        await SmtpTransport(server, "example.com", trust=authority.trust()).send(message())
    assert (len(box.got), box.encrypted) == (1, [True])


async def test_a_server_without_starttls_gets_nothing(authority: Authority) -> None:
    """Whoever strips STARTTLS from the greeting learns neither password nor mail."""
    async with mail_server(box := Letterbox()) as port:
        fault = await fault_of(encrypted(port, authority.trust(), "router", PASSWORD))
    assert isinstance(fault, Unavailable)
    assert fault.code == "smtp_unusable"
    assert "STARTTLS" in fault.sentence
    assert not fault.sentence.endswith("..")
    assert box.begun == 0


@pytest.mark.parametrize("protection", ["starttls", "tls"])
@pytest.mark.parametrize("wrong", ["name", "authority"])
async def test_a_wrong_certificate_gets_nothing(
    authority: Authority, wrong: str, protection: Protection
) -> None:
    """Neither one for another name nor one that nobody we trust has signed; the sentence says which."""
    issuer, name = (authority, "mail.test") if wrong == "name" else (Authority(), "127.0.0.1")
    context = issuer.server(name)
    box = Letterbox()
    starttls, tls = (context, None) if protection == "starttls" else (None, context)
    async with mail_server(box, starttls=starttls, tls=tls) as port:
        server = MailServer("127.0.0.1", port, protection, "router", PASSWORD)
        fault = await fault_of(SmtpTransport(server, "example.com", trust=authority.trust()))
    assert fault.code == "smtp_tls_failed"
    assert ("mismatch" if wrong == "name" else "issuer") in fault.sentence
    assert (box.begun, box.logins) == (0, [])


async def test_a_wrong_password_is_told_without_it(authority: Authority) -> None:
    """The operator has to mend it, so the mail waits; neither name nor password is in what is said."""
    async with mail_server(Letterbox(), starttls=authority.server(), auth=True) as port:
        transport = encrypted(port, authority.trust(), "router-user", "wrong-horse")
        fault = await fault_of(transport)
    assert isinstance(fault, Unavailable)
    assert fault.code == "smtp_auth_failed"
    for secret in ("router-user", "wrong-horse"):
        assert secret not in fault.sentence + repr(fault) + repr(transport)


@pytest.mark.parametrize(
    ("box", "kind", "code", "words"),
    [
        (Letterbox(rcpt=["550 5.1.1 no such user"]), Refused, "mail_refused", "550 5.1.1 no such user"),
        (Letterbox(data=["554 5.7.1 spam"]), Refused, "mail_refused", "554 5.7.1 spam"),
        (Letterbox(rcpt=["450 4.2.0 greylisted"]), Unavailable, "smtp_not_taken", "450 4.2.0 greylisted"),
        (Letterbox(data=["452 4.3.1 disk full"]), Unavailable, "smtp_not_taken", "452 4.3.1 disk full"),
        (Letterbox(sender="550 5.7.1 not yours"), Unavailable, "smtp_sender_refused", "550 5.7.1 not yours"),
        (Letterbox(rcpt=["421 closing"]), Unavailable, "smtp_not_taken", "421 closing"),
    ],
    ids=["no such user", "unwanted", "greylisted", "full", "sender", "closing"],
)
async def test_a_refusal_is_final_only_where_it_is_about_this_mail(
    box: Letterbox, kind: type[RouterError], code: str, words: str
) -> None:
    """5xx for the recipient or the content ends it; what an operator can mend, or time, makes it wait."""
    async with mail_server(box) as port:
        fault = await fault_of(clear(port))
    assert type(fault) is kind
    assert fault.code == code
    assert words in fault.sentence


@pytest.mark.parametrize("box", [Letterbox(rcpt=[None]), Letterbox(data=[None])], ids=["RCPT", "DATA"])
async def test_a_server_that_hangs_is_left(box: Letterbox) -> None:
    """The whole of one mail has a limit, wherever the server falls silent."""
    async with mail_server(box) as port:
        fault = await fault_of(clear(port, whole=0.3))
    assert isinstance(fault, Unavailable)
    assert fault.code == "smtp_timeout"


async def test_a_server_that_never_greets_is_left() -> None:
    """The limit holds from the first moment."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fault = await fault_of(clear(silent.getsockname()[1], whole=0.3))
    assert fault.code == "smtp_timeout"


async def test_a_connection_cut_in_the_middle_is_an_outage() -> None:
    """Whether the mail was taken is not known: it is tried again."""
    async with mail_server(Letterbox(data=["cut"])) as port:
        fault = await fault_of(clear(port))
    assert isinstance(fault, Unavailable)
    assert fault.code == "smtp_unreachable"


async def test_nobody_listening_is_an_outage() -> None:
    """A mail server that is down is told in one sentence."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert (await fault_of(clear(port))).code == "smtp_unreachable"


async def test_nonsense_is_an_outage() -> None:
    """A server that speaks another protocol breaks nothing here."""

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        fault = await fault_of(clear(server.sockets[0].getsockname()[1]))
    assert isinstance(fault, Unavailable)


async def test_without_tls_only_our_own_networks_are_spoken_to() -> None:
    """A public address gets no mail in the clear, whatever the setting says; it is not even connected to."""
    transport = SmtpTransport(MailServer("1.1.1.1", 25, "none"), "example.com")
    assert (await fault_of(transport)).code == "smtp_not_private"


async def test_a_server_that_says_no_good_bye_has_the_mail_all_the_same() -> None:
    """Once it is taken nothing makes it be sent again: a hang at QUIT is no failure."""

    class Rude(Letterbox):
        async def handle_QUIT(self, *_told: object) -> str:  # noqa: N802 - aiosmtpd's name for it
            await self.patience.wait()
            return "221 bye"

    box = Rude()
    async with mail_server(box) as port, asyncio.timeout(20):
        assert await clear(port).send(message()) == TAKEN
    assert len(box.got) == 1


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.com", MailServer("mail.example.com", 587, "starttls")),
        ("smtp://u:p@mail.example.com:2525/", MailServer("mail.example.com", 2525, "starttls", "u", "p")),
        ("smtps://u:p%40@mail.example.com", MailServer("mail.example.com", 465, "tls", "u", "p@")),
        ("smtp://127.0.0.1?tls=none", MailServer("127.0.0.1", 25, "none")),
        ("smtp://[::1]:1025?tls=none", MailServer("::1", 1025, "none")),
    ],
)
def test_a_url_says_where_and_how(url: str, server: MailServer) -> None:
    """The scheme is the protection; ports are the usual ones unless given."""
    assert parse_server(url) == server
    assert "p@" not in repr(server)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://mail.example.com", "smtp://USER"),
        ("smtp://", "smtp://USER"),
        ("smtp://mail.example.com/folder", "smtp://USER"),
        ("smtp://mail.example.com:99999", "not a URL"),
        ("smtp://user@mail.example.com", "belong together"),
        ("smtp://u:p@127.0.0.1?tls=none", "without TLS"),
        ("smtps://127.0.0.1?tls=none", "only option"),
        ("smtp://127.0.0.1?tls=maybe", "only option"),
        ("smtp://127.0.0.1?verify=no", "only option"),
    ],
)
def test_another_url_is_refused(url: str, words: str) -> None:
    """Nothing is guessed, and there is no way to switch verification off."""
    with pytest.raises(BadSettings) as fault:
        parse_server(url)
    assert fault.value.code == "bad_smtp_url"
    assert words in fault.value.sentence
