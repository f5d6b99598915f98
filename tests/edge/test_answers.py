"""What the edge says itself: the same to every stranger, in the form that whoever asks can read."""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.edge.answers import Answer, Answers, answer_octets, status_line
from router.edge.decide import ChooseCustomer, Refuse, SignIn, ToHttps, own_page
from router.edge.visit import Door, Visit
from router.observe.health import HealthAnswer
from router.portal.error_pages import ErrorPages
from router.portal.rendering import Renderer
from router.portal.themes import Themes
from tests.edge.heads import ACME, arrival, visit

if TYPE_CHECKING:
    from router.tenants.tenant import Tenant

HTML = b"Accept: text/html"
PAGES = ErrorPages(Renderer(Themes.load()))
ANSWERS = Answers(PAGES, public_port=443)
ELSEWHERE = Answers(PAGES, public_port=8443)
APART = Answers(PAGES, public_port=443, console_port=9443)
STRANGERS = [
    visit(host=b"never.portal.example"),
    visit(b"User-Agent: x", target=b"/a?b=c", host=b"gone.portal.example", method=b"POST"),
    visit(host=b"10.0.0.7", target=b"/-/sign-in", by=arrival(peer="198.51.100.1")),
    visit(host=b"localhost", by=arrival(door=Door.HTTP)),
    visit(b"Cookie: __Host-portal-session=abc", host=b"pending.example", version=b"1.0"),
]


def field(answer: Answer, name: bytes) -> bytes | None:
    """The value of the one field of that name; none where there is none."""
    values = [value for key, value in answer.fields if key.lower() == name.lower()]
    assert len(values) <= 1
    return values[0] if values else None


@pytest.mark.parametrize("refuse", [Refuse(404, "not_found"), Refuse(421, "misdirected", close=True)])
def test_strangers_get_the_same_octets(refuse: Refuse) -> None:
    """Whatever is asked of a hostname that is nobody's, by whom and by which door: one answer.

    Nothing tells whether it never existed, is pending, or was deleted (DESIGN: Host).
    """
    for lines in ([], [HTML]):
        found = {
            (answer.status, answer.fields, answer.body, answer.close)
            for host in (b"never.portal.example", b"gone.example", b"10.0.0.7")
            for target in (b"/", b"/a?b=c", b"/-/sign-in?return=/x")
            for door in Door
            for answer in [
                ANSWERS.error(refuse, visit(*lines, target=target, host=host, by=arrival(door=door)))
            ]
        }
        assert len(found) == 1


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_learns_nothing(stranger: Visit) -> None:
    """No hostname, path, address or reference of the visit stands in it."""
    answer = ANSWERS.error(Refuse(404, "not_found"), stranger)
    assert json.loads(answer.body) == {
        "status": 404,
        "code": "not_found",
        "title": "Not Found",
        "detail": "There is nothing here.",
    }
    assert answer == ANSWERS.error(Refuse(404, "not_found"), STRANGERS[0])


CODES = [
    (400, "bad_host"),
    (401, "sign_in_needed"),
    (403, "foreign_origin"),
    (403, "choose_customer"),
    (404, "not_found"),
    (421, "misdirected"),
    (502, "upstream_unreachable"),
    (502, "a_code_without_a_sentence"),
    (503, "suspended"),
    (504, "upstream_slow"),
]


@pytest.mark.parametrize(("status", "code"), CODES)
def test_a_program_gets_a_problem(status: int, code: str) -> None:
    """application/problem+json with a stable code and a sentence (RFC 9457), not to be stored."""
    seen = visit()
    answer = ANSWERS.error(Refuse(status, code, ACME), seen)
    problem = json.loads(answer.body)
    assert (problem["status"], problem["code"], problem["request_id"]) == (status, code, seen.id)
    assert problem["title"] == HTTPStatus(status).phrase
    assert problem["detail"].endswith(".")
    assert field(answer, b"Content-Type") == b"application/problem+json"
    assert field(answer, b"Cache-Control") == b"no-store"
    assert not answer.close


def test_a_program_is_told_where_a_person_signs_in() -> None:
    """The problem of a missing session names the page; no other problem does."""
    told = [
        json.loads(ANSWERS.error(Refuse(status, code, ACME), visit()).body).get("sign_in")
        for status, code in CODES
    ]
    assert told == ["/-/sign-in" if code == "sign_in_needed" else None for _, code in CODES]


@pytest.mark.parametrize(("status", "code"), CODES)
@pytest.mark.parametrize("tenant", [None, ACME], ids=["nobody's", "Acme's"])
def test_a_person_gets_a_page(status: int, code: str, tenant: Tenant | None) -> None:
    """A page in UTF-8, in the tenant's look where one is known, which cannot be framed, sniffed or stored."""
    answer = ANSWERS.error(Refuse(status, code, tenant), visit(HTML))
    assert answer.body.startswith(b"<!doctype html>")
    assert (b"Acme" in answer.body) == (tenant is not None)
    assert field(answer, b"Content-Type") == b"text/html; charset=utf-8"
    assert b"frame-ancestors 'none'" in (field(answer, b"Content-Security-Policy") or b"")
    assert field(answer, b"X-Content-Type-Options") == b"nosniff"
    assert field(answer, b"Referrer-Policy") == b"no-referrer"
    assert field(answer, b"Cache-Control") == b"no-store"


@pytest.mark.parametrize(
    ("lines", "language"),
    [
        ([], b"en"),
        ([b"Accept-Language: fr-CH, de;q=0.9"], b"fr"),
        ([b"Accept-Language: fr", b"Cookie: a=b; __Host-portal-language=es"], b"es"),
        ([b"Cookie: __Host-portal-language=es; __Host-portal-language=de"], b"en"),
        ([b"Cookie: __Host-portal-language=<b>", b"Accept-Language: \xe9, de"], b"de"),
    ],
    ids=["unasked", "asked", "chosen", "planted", "nonsense"],
)
@pytest.mark.parametrize("tenant", [None, ACME], ids=["nobody's", "Acme's"])
def test_a_person_gets_their_own_language(tenant: Tenant | None, lines: list[bytes], language: bytes) -> None:
    """What was chosen in the browser comes first, then what the browser asks for; caches are told."""
    answer = ANSWERS.error(Refuse(404, "not_found", tenant), visit(HTML, *lines))
    assert b'<html lang="%b">' % language in answer.body
    assert field(answer, b"Vary") == b"Accept-Language, Cookie"


@pytest.mark.parametrize("lines", [[], [HTML]], ids=["a program", "a person"])
def test_who_may_try_again_is_told_when(lines: list[bytes]) -> None:
    """A 503 says when to come again (RFC 9110 section 10.2.3), other errors do not."""
    assert field(ANSWERS.error(Refuse(503, "suspended", ACME), visit(*lines)), b"Retry-After") == b"5"
    assert (
        field(ANSWERS.error(Refuse(502, "upstream_unreachable", ACME), visit(*lines)), b"Retry-After") is None
    )


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_misdirected_connection_ends(method: bytes) -> None:
    """What the decision closes is closed, whoever asked."""
    refuse = Refuse(421, "misdirected", close=True)
    assert ANSWERS.error(refuse, visit(method=method)).close
    assert ANSWERS.error(refuse, visit(HTML, method=method)).close


@pytest.mark.parametrize("target", [b'/"><script>alert(1)</script>', b"//evil.example/", b"/\\evil.example"])
def test_a_page_repeats_nothing_as_it_was_sent(target: bytes) -> None:
    """What somebody put into an address becomes no markup and no way to another site."""
    answer = ANSWERS.error(Refuse(401, "sign_in_needed", ACME), visit(HTML, target=target))
    assert b"<script" not in answer.body
    assert b"evil.example" not in answer.body


def test_a_form_is_not_led_back_to() -> None:
    """After signing in again a page leads back to what was read, never to what would be sent twice."""
    refuse = Refuse(401, "sign_in_needed", ACME)
    assert b"return=/a" in ANSWERS.error(refuse, visit(HTML, target=b"/a")).body
    assert b"return=/a" not in ANSWERS.error(refuse, visit(HTML, target=b"/a", method=b"POST")).body


def test_who_has_not_chosen_a_customer_is_led_to_choose_one() -> None:
    """A form that was sent without a customer was not out of date, and the page says what to do."""
    refuse = Refuse(403, "choose_customer", ACME)
    came_from = b"Referer: https://acme.portal.example/orders"
    body = ANSWERS.error(refuse, visit(HTML, came_from, target=b"/a", method=b"POST")).body
    assert b'href="/-/customer?return=/orders"' in body
    assert b"was not saved" in body
    assert b"out of date" not in body


def test_who_came_without_tls_is_told_to_come_with_it() -> None:
    """A person at the admin hostname's port 80 reads of HTTPS, not of a form that they never sent."""
    body = ANSWERS.error(Refuse(403, "https_needed", close=True), visit(HTML)).body
    assert b"https://" in body
    assert b"out of date" not in body


@pytest.mark.parametrize(
    ("answers", "host", "target", "location"),
    [
        (ANSWERS, b"acme.portal.example", b"/a?b=c", b"https://acme.portal.example/a?b=c"),
        (ANSWERS, b"ACME.portal.example.:8080", b"/", b"https://acme.portal.example/"),
        (ELSEWHERE, b"acme.portal.example:8080", b"/a", b"https://acme.portal.example:8443/a"),
        (ANSWERS, b"acme.portal.example", b"//evil.example/", b"https://acme.portal.example//evil.example/"),
        (ANSWERS, b"acme.portal.example", b"http://acme.portal.example?b", b"https://acme.portal.example/?b"),
    ],
)
def test_to_https(answers: Answers, host: bytes, target: bytes, location: bytes) -> None:
    """The same place under the same hostname, by the method that was used (308)."""
    asked = visit(host=host, target=target, by=arrival(door=Door.HTTP))
    answer = answers.to_https(ToHttps(ACME), asked)
    assert (answer.status, answer.body, answer.tenant_id) == (308, b"", ACME.id)
    assert field(answer, b"Location") == location


@pytest.mark.parametrize(
    ("answers", "location"),
    [
        (ANSWERS, b"https://admin.portal.example/tenants"),
        (ELSEWHERE, b"https://admin.portal.example:8443/tenants"),
        (APART, b"https://admin.portal.example:9443/tenants"),
    ],
)
def test_to_the_consoles_https(answers: Answers, location: bytes) -> None:
    """At the port that operators see; no tenant's name is in the log for it."""
    asked = visit(host=b"admin.portal.example", target=b"/tenants", by=arrival(door=Door.HTTP))
    answer = answers.to_https(ToHttps(None), asked)
    assert (answer.status, answer.tenant_id, field(answer, b"Location")) == (308, "", location)


def test_to_the_sign_in_page() -> None:
    """By GET (303), to a local path, not to be stored and not the same for everybody."""
    answer = ANSWERS.to_own_page(SignIn(ACME, "/a?b=c&d"), visit())
    assert answer.status == 303
    assert field(answer, b"Location") == b"/-/sign-in?return=/a%3Fb%3Dc%26d"
    assert field(answer, b"Cache-Control") == b"no-store"
    assert field(answer, b"Vary") == b"Cookie"


def test_to_the_choice_of_a_customer() -> None:
    """Whoever signs in for several is asked which first, and led back to where they were going."""
    answer = ANSWERS.to_own_page(ChooseCustomer(ACME, "/a?b=c&d"), visit())
    assert answer.status == 303
    assert field(answer, b"Location") == b"/-/customer?return=/a%3Fb%3Dc%26d"
    assert field(answer, b"Cache-Control") == b"no-store"


@pytest.mark.parametrize("status", [200, 503])
def test_health(status: int) -> None:
    """What health says goes out as it is."""
    answer = ANSWERS.health(HealthAnswer(status, b'{"status":"ready"}'))
    assert (answer.status, answer.body) == (status, b'{"status":"ready"}')
    assert field(answer, b"Content-Type") == b"application/json"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "bad_head"),
        (400, "bad_host"),
        (405, "method_not_allowed"),
        (408, "head_slow"),
        (417, "unknown_expectation"),
        (431, "head_too_large"),
        (501, "method_unknown"),
    ],
)
def test_what_is_no_request_ends_the_connection(status: int, code: str) -> None:
    """A refusal says its code, names nobody, and is the connection's last answer."""
    answer = ANSWERS.refused(status, code)
    assert (answer.status, answer.close) == (status, True)
    problem = json.loads(answer.body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert "request_id" not in problem


# -- octets -----------------------------------------------------------------------------------------------

FIELDS = st.lists(
    st.tuples(
        st.from_regex(rb"X-[A-Za-z-]{1,10}", fullmatch=True), st.from_regex(rb"[!-~]{1,20}", fullmatch=True)
    ),
    max_size=3,
)


@given(
    status=st.sampled_from([status.value for status in HTTPStatus if status >= 200]),
    fields=FIELDS,
    body=st.binary(max_size=50),
    close=st.booleans(),
    to_head=st.booleans(),
)
def test_an_answer_is_one_whole_message(
    *, status: int, fields: list[tuple[bytes, bytes]], body: bytes, close: bool, to_head: bool
) -> None:
    """One status line, a date, a length that is the body's, and the body, which a HEAD does not get."""
    octets = answer_octets(Answer(status, tuple(fields), body), close=close, to_head=to_head)
    head, _, sent = octets.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert re.fullmatch(rb"HTTP/1\.1 %d [ -~]*" % status, first)
    assert sent == (b"" if to_head else body)
    assert [line for line in lines if line.startswith(b"Content-Length: ")] == [
        b"Content-Length: %d" % len(body)
    ]
    assert (b"Connection: close" in lines) == close
    assert all(b"%b: %b" % pair in lines for pair in fields)
    (date,) = (line for line in lines if line.startswith(b"Date: "))
    assert parsedate_to_datetime(date[6:].decode()).tzinfo is not None


@pytest.mark.parametrize(
    ("status", "reason", "line"),
    [
        (200, b"", b"HTTP/1.1 200 OK"),
        (200, b"Fine", b"HTTP/1.1 200 Fine"),
        (421, b"", b"HTTP/1.1 421 Misdirected Request"),
        (299, b"", b"HTTP/1.1 299 "),
        (599, b"Odd", b"HTTP/1.1 599 Odd"),
    ],
)
def test_status_lines(status: int, reason: bytes, line: bytes) -> None:
    """The given reason, else the standard's, else none; the space before it always (RFC 9112 section 4)."""
    assert status_line(status, reason) == line


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_no_target_breaks_out_of_a_location(text: str) -> None:
    """The address of the sign-in page is visible ASCII in one line, whatever was asked for."""
    assert re.fullmatch(r"/-/sign-in\?return=[A-Za-z0-9/%._~-]*", own_page(SignIn(ACME, "/" + text)))
