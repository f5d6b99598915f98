"""Messages: read back by the standard library's parser, whatever was put into them."""

from __future__ import annotations

import email
import re
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.errors import BadInput
from router.mail.message import Composed, Message, Sender, build, one_line, parse_sender, plain_address

SENDER = Sender("portal@example.com", "The platform")
AT = 1_795_300_000
LINK = "https://acme.portal.example/-/reset?t=AbCdEf"
FIELDS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]

anything = st.text(max_size=300)
pieces = [
    *("\r\n", "\n", "\r", "\0", "\x85", "\u2028", "\ud800", " ", "Bcc: eve@evil.test", "<eve@evil.test>"),
    *("=?utf-8?q?x=0D=0ABcc:_eve=40evil.test?=", "=?", "?=", ",", ";", '"', "\\", ".", "(x)", "Acme"),
    *("ü", "漢字", "🎉"),
]
hostile = st.lists(st.sampled_from(pieces), max_size=40).map("".join)


def written(
    subject: str = "Hello", text: str = "Text\n", html: str = "<p>HTML</p>\n", **more: str
) -> Message:
    """Build a message."""
    composed = Composed(subject, text, html, **more)
    return build(composed, mail_id="mail_1", sender=SENDER, recipient="ada@acme.test", at=AT)


def read(message: Message) -> EmailMessage:
    """Read a message as a mail program does."""
    parsed = email.message_from_bytes(message.octets, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def _contents(message: Message) -> list[str]:
    return [part.get_content().replace("\r\n", "\n") for part in read(message).iter_parts()]


def heading(message: Message, name: str) -> str:
    """Decode one field of the head, as RFC 2047 says (the parser's own decoding adds spaces)."""
    raw = str(email.message_from_bytes(message.octets)[name])
    return str(make_header(decode_header(re.sub(r"\r\n(?=[ \t])", "", raw))))


def test_a_message_has_both_parts_and_a_whole_head() -> None:
    """Text first and HTML after it, from the tenant at the platform's address, to be answered by no robot."""
    message = written(
        "Setz dein Passwört", f"Grüße: {LINK}\n", f"<a href='{LINK}'>Grüße</a>\n", name="Acme GmbH"
    )
    parsed = read(message)
    assert parsed.keys() == FIELDS
    assert str(parsed["From"]) == "Acme GmbH <portal@example.com>"
    assert str(parsed["To"]) == "ada@acme.test"
    assert heading(message, "Subject") == "Setz dein Passwört"
    assert parsed["Date"].datetime.timestamp() == AT
    assert parsed["Message-ID"] == "<mail_1@example.com>"
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed.get_content_type() == "multipart/alternative"
    text, html = parsed.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert _contents(message) == [f"Grüße: {LINK}\n", f"<a href='{LINK}'>Grüße</a>\n"]


def test_answers_go_to_the_tenant() -> None:
    """Reply-To is the tenant's address; without one there is none."""
    assert (
        str(read(written(reply_to="billing@bücher.example"))["Reply-To"]) == "billing@xn--bcher-kva.example"
    )
    assert "Reply-To" not in read(written())


def test_without_a_name_the_platforms_is_shown() -> None:
    """The name of the sender's setting stands in for a tenant's."""
    assert str(read(written())["From"]) == "The platform <portal@example.com>"


@given(name=st.one_of(anything, hostile), subject=st.one_of(anything, hostile))
@example("Acme\r\nBcc: eve@evil.test", "Hello\r\n\r\n<h1>Eve</h1>")
@example("=?utf-8?q?x=0D=0ABcc:_eve=40evil.test?=", "=?utf-8?q?x=0D=0ABcc:_eve=40evil.test?=")
def test_nothing_can_be_injected_by_a_name_or_a_subject(name: str, subject: str) -> None:
    """Whatever a tenant is called or a fact says: the same fields, one sender, short lines of ASCII."""
    message = written(subject, name=name)
    head = message.octets.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert [line.partition(b":")[0].decode() for line in head if line[:1] not in b" \t"] == [
        field for field in FIELDS if field != "Subject" or one_line(subject, 1)
    ]
    assert all(re.fullmatch(rb"[\t -~]{1,78}", line) for line in head)
    assert heading(message, "From").endswith("<portal@example.com>")
    assert heading(message, "From").count("<portal@example.com>") == 1 + one_line(name, 80).count(
        "<portal@example.com>"
    )
    (address,) = read(message)["From"].addresses
    assert address.addr_spec == "portal@example.com"


@given(name=hostile, subject=hostile)
def test_names_and_subjects_arrive_as_they_are(name: str, subject: str) -> None:
    """Encoded words lose nothing of what can be printed, whichever script it is in."""
    message = written(subject, name=name)
    shown = one_line(name, 80) or SENDER.name
    assert heading(message, "From") == f"{shown} <portal@example.com>"
    assert heading(message, "Subject") == (one_line(subject, 200) or "None")


@given(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")))
@example(".")
@example("x" * 5000)
def test_a_line_of_text_arrives_as_it_is(line: str) -> None:
    """Also one that is a dot, or longer than SMTP allows; all of it travels as short lines of ASCII."""
    message = written(text=f"{line}\n{line}\n", html=line + "\n")
    assert all(len(each) <= 78 and each.isascii() for each in message.octets.split(b"\r\n"))
    text, html = _contents(message)
    assert text == f"{line}\n{line}\n"
    assert html == f"{line}\n"


def test_no_line_ends_by_halves() -> None:
    """A bare CR or LF in a text is no line end that one server sees and another does not (SMTP smuggling)."""
    message = written(text="one\rtwo\n.\r\nMAIL FROM:<eve@evil.test>\n.\n", html="<p>\r.\r</p>")
    bare = message.octets.replace(b"\r\n", b"")
    assert b"\r" not in bare
    assert b"\n" not in bare


def test_what_a_mail_says_is_in_no_representation() -> None:
    """Links open accounts: neither a composed mail nor a message shows them."""
    message = written(text=LINK, html=LINK)
    assert "AbCdEf" not in repr(message)
    assert "AbCdEf" not in repr(Composed("Hello", LINK, LINK))


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "ada",
        "@acme.test",
        "ada@",
        "a@x@y",
        "ada@acme.test\r\nBcc: eve@evil.test",
        "ada@acme.test\n",
        "ada@acme.test, eve@evil.test",
        "<ada@acme.test>",
        "ada lovelace@acme.test",
        '"ada"@acme.test',
        "ädä@acme.test",
        "ada@192.0.2.1",
        "ada..l@acme.test",
        "a" * 260 + "@acme.test",
    ],
)
def test_an_address_that_is_not_plain_is_refused(raw: str) -> None:
    """Nothing is sent to, or answered at, what would have to be quoted, or is two addresses."""
    with pytest.raises(BadInput) as fault:
        plain_address(raw)
    assert fault.value.code == "bad_email"
    with pytest.raises(BadInput):
        build(Composed("", "", ""), mail_id="mail_1", sender=SENDER, recipient=raw, at=AT)


@pytest.mark.parametrize(
    ("raw", "sender"),
    [
        ("portal@example.com", Sender("portal@example.com")),
        ("Portal <portal@example.com>", Sender("portal@example.com", "Portal")),
        ('"Portal, Inc." <Portal@Bücher.example>', Sender("Portal@xn--bcher-kva.example", "Portal, Inc.")),
        ("<portal@example.com>", Sender("portal@example.com")),
    ],
)
def test_a_sender_is_an_address_with_or_without_a_name(raw: str, sender: Sender) -> None:
    """As people write them in mail programs."""
    assert parse_sender(raw) == sender
    assert sender.domain == sender.address.partition("@")[2]


@pytest.mark.parametrize("raw", ["", "portal", "Portal <portal>", "a@b.test, c@d.test", "P <a@b.test"])
def test_another_sender_is_refused(raw: str) -> None:
    """With a sentence that shows how it is written."""
    with pytest.raises(BadInput) as fault:
        parse_sender(raw)
    assert fault.value.code == "bad_sender"
    assert "Portal <portal@example.com>" in fault.value.sentence
