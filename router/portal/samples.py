"""Every page with sample data, as its handler would give it: for ``theme check``, and for whoever designs.

The data are of the awkward kind: long names, several faults at once, sessions of unknown devices.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from router.hostname import Hostname
from router.identity.session_rows import SessionRecord
from router.portal.device import device_of
from router.portal.form_page import Form
from router.tenants.tenant import Branding, Image, Tenant

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOW: Final = 1_795_372_560
_EMAIL: Final = "annegret.musterfrau-schmidt@kundin.example"
_HOST: Final = "rechnungen.stadtwerke.example"
_FIREFOX: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_SAFARI: Final = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile Safari/604.1"

PLAIN: Final = Tenant("tnt_plain", "acme", Hostname("acme.portal.example"), Branding("Acme", "#0b6e4f"), ())
"""A tenant that said no more than it had to."""

RICH: Final = Tenant(
    "tnt_rich",
    "stadtwerke",
    Hostname("kunden.stadtwerke.example"),
    Branding(
        "Stadtwerke Musterhausen & Söhne GmbH",
        "#f2b705",
        portal_name="Mein Stadtwerk",
        greeting="Strom, Wärme und Wasser aus der Region. Schön, dass Sie da sind!",
        support_email="hilfe@stadtwerke.example",
        support_phone="+49 30 123 456-0",
        support_url="https://stadtwerke.example/hilfe",
        imprint_url="https://stadtwerke.example/impressum",
        privacy_url="https://stadtwerke.example/datenschutz",
        reply_to="service@stadtwerke.example",
        logo=Image("0123456789abcdef", "image/png", 512, 160),
    ),
    (),
    allow_registration=True,
    registration_check="https://erp.stadtwerke.example/belongs",
)
"""A tenant that said all that can be said."""

TENANTS: Final = (PLAIN, RICH, replace(PLAIN, status="suspended"))


@dataclass(frozen=True, slots=True)
class Sample:
    """One page in one state; ``language`` and ``texts`` are missing in ``facts``."""

    template: str
    state: str
    facts: Mapping[str, object] = field(default_factory=dict)


def page_samples() -> tuple[Sample, ...]:
    """Give every page in every state in which it looks different."""
    known = {"csrf_field": "csrf", "csrf": "0" * 43, "here": "/-/sign-in?return=%2F"}
    return tuple(
        replace(sample, facts={**known, "form": Form(), "action": "/-/here", **sample.facts})
        for sample in (*_entrances(), *_errands(), *_account())
    ) + tuple(_errors())


def mail_facts() -> dict[str, str | int]:
    """Give all that any mail tells."""
    return {
        "token": "t" * 43,
        "customer": "C-1001",
        "new_email": _EMAIL,
        "address": "203.0.113.7",
        "at": _NOW,
        "expires_at": _NOW + 86_400,
        "hostname": _HOST,
        "target": "k3x9q0v7m2p5t8w1.customers.portal.example",
        "txt_name": "_portal-challenge.rechnungen.stadtwerke.example",
        "txt_token": "v" * 32,
        "behind_cdn": 0,
        "until": _NOW + 7 * 86_400,
        "names": "kunden.stadtwerke.example, rechnungen.stadtwerke.example",
        "days": 14,
        "count": 3,
        "endings": f"{_NOW} {_HOST}\n{_NOW + 86_400} kunden.stadtwerke.example, {_HOST}",
        "more": 1,
    }


def _entrances() -> list[Sample]:
    """Coming in and going."""
    typed = {"email": _EMAIL, "return": "/invoices", "remember": "yes"}
    missing = {"email": "email_missing", "password": "password_missing"}
    invoice = SimpleNamespace(customer="C-1001", email=None)
    return [
        Sample("sign_in.html", "fresh", {"done": ""}),
        Sample("sign_in.html", "refused", {"form": Form(typed, {"form": "sign_in_refused"}), "done": ""}),
        Sample("sign_in.html", "wait", {"form": Form(typed, {"form": "too_many_attempts"}, 290), "done": ""}),
        Sample("sign_in.html", "missing", {"form": Form({}, missing), "done": ""}),
        *(
            Sample("sign_in.html", done, {"done": done})
            for done in ("password-changed", "email-changed", "joined")
        ),
        Sample("sign_out.html", "fresh", {"email": _EMAIL}),
        Sample("signed_out.html", "fresh"),
        Sample("register.html", "invoice", {"link": invoice, "by_reference": False}),
        Sample(
            "register.html",
            "address-known",
            {"link": SimpleNamespace(customer="C-1001", email=_EMAIL), "by_reference": False},
        ),
        Sample(
            "register.html",
            "faulty",
            {
                "link": None,
                "by_reference": True,
                "form": Form({}, {"customer": "bad_customer", "email": "bad_email"}),
            },
        ),
        Sample("register.html", "by-invoice-only", {"link": None, "by_reference": False}),
        Sample("no_registration.html", "fresh"),
        *(Sample("mail_sent.html", reason, {"reason": reason}) for reason in ("reset", "registration")),
    ]


def _errands() -> list[Sample]:
    """What the links in mails lead to."""
    new, known = (
        SimpleNamespace(email=_EMAIL, customer="C-1001", needs_password=needs) for needs in (True, False)
    )
    short = Form({}, {"password": "password_too_short"})
    kinds = ("invitation", "registration", "invoice", "reset", "email")
    faults = ("unknown", "used", "expired", "voided")
    return [
        Sample("newcomer.html", "new", {"link": new}),
        Sample("newcomer.html", "faulty", {"link": new, "form": short}),
        Sample("newcomer.html", "known", {"link": known}),
        Sample("forgot.html", "fresh"),
        Sample("forgot.html", "faulty", {"form": Form({}, {"email": "email_missing"})}),
        Sample("reset.html", "fresh", {"link": new}),
        Sample("reset.html", "faulty", {"link": new, "form": short}),
        Sample("confirm_email.html", "fresh", {"link": new}),
        *(
            Sample(
                "link.html", f"{kind}-{fault}", {"kind": kind, "fault": fault, "signed_in": fault == "used"}
            )
            for kind in kinds
            for fault in faults
        ),
    ]


def _account() -> list[Sample]:
    """The pages of who is signed in."""
    here = {"email": _EMAIL, "customers": ("C-1001", "C-2002"), "chosen": "C-1001"}
    sessions = [
        (record, device_of(record.user_agent))
        for record in (
            SessionRecord("ses_1", "C-1001", "203.0.113.7", _FIREFOX, _NOW - 60, _NOW, remembered=False),
            SessionRecord(
                "ses_2", "C-2002", "2001:db8::17", _SAFARI, _NOW - 90_000, _NOW - 4_000, remembered=True
            ),
            SessionRecord("ses_3", "", "198.51.100.4", "", _NOW - 900_000, _NOW - 800_000, remembered=False),
        )
    ]
    many = {**here, "sessions": sessions, "current": "ses_1", "now": _NOW}
    one = {**many, "customers": ("C-1001",), "sessions": sessions[:1]}
    wrong = {"current": "password_wrong", "password": "password_common"}
    return [
        Sample("account.html", "several", {**many, "done": ""}),
        Sample("account.html", "one", {**one, "done": "password"}),
        *(
            Sample("account.html", done, {**one, "done": done})
            for done in ("email-asked", "email-changed", "session-ended", "sessions-ended")
        ),
        Sample("password.html", "fresh", here),
        Sample("password.html", "faulty", {**here, "form": Form({}, wrong)}),
        Sample("email.html", "fresh", here),
        Sample("email.html", "faulty", {**here, "form": Form({"email": "a@b"}, {"email": "bad_email"})}),
        Sample("customer.html", "several", here),
        Sample(
            "customer.html",
            "unchosen",
            {**here, "chosen": "", "form": Form({}, {"form": "not_your_customer"})},
        ),
        Sample("customer.html", "none", {**here, "customers": (), "chosen": ""}),
    ]


def _errors() -> list[Sample]:
    """What the edge says too; these know nothing of forms."""
    statuses = (400, 401, 403, 404, 405, 408, 413, 414, 418, 421, 429, 431, 500, 501, 502, 503, 504, 599)
    told = [(status, "") for status in statuses] + [(403, "choose_customer"), (403, "https_needed")]
    return [
        Sample(
            "error.html",
            f"{status} {code}".rstrip(),
            {"status": status, "code": code, "request_id": "req_0123", "return_to": "/"},
        )
        for status, code in told
    ]
