"""The line of an invoice's e-mail that tells a customer where their portal is and how to register.

PURE. One wording for both forms; what is put in is escaped in the HTML.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.languages.texts import Texts


@dataclass(frozen=True, slots=True)
class Way:
    """A customer's way into the portal of ``company``.

    ``registration_url`` is none where the tenant lets nobody register; it works until ``expires_at``, in unix
    seconds.
    """

    company: str
    portal_url: str
    registration_url: str | None = None
    expires_at: int = 0


def as_text(way: Way, texts: Texts) -> str:
    """Write the line for the plain text of an e-mail: a sentence, or two on a line each."""
    said = [_where(texts) % {"company": way.company, "portal": way.portal_url}]
    if way.registration_url is not None:
        said.append(_how(texts) % {"date": texts.date(way.expires_at), "link": way.registration_url})
    return "\n".join(said)


def as_html(way: Way, texts: Texts) -> str:
    """Write the line as one paragraph of HTML, which takes its looks from the e-mail around it."""
    portal = _anchor(way.portal_url, way.portal_url.removeprefix("https://").removesuffix("/"))
    said = [escape(_where(texts)) % {"company": escape(way.company), "portal": portal}]
    if way.registration_url is not None:
        link = _anchor(way.registration_url, texts.gettext("Register now"))
        said.append(escape(_how(texts)) % {"date": escape(texts.date(way.expires_at)), "link": link})
    return f'<p lang="{escape(texts.code)}">{"<br>".join(said)}</p>'


def _where(texts: Texts) -> str:
    return texts.gettext("You find your invoices in the customer portal of %(company)s: %(portal)s")


def _how(texts: Texts) -> str:
    # Translators: at the end stands the personal link of one customer, good once.
    return texts.gettext("No access yet? Your personal link is valid until %(date)s: %(link)s")


def _anchor(url: str, said: str) -> str:
    return f'<a href="{escape(url)}">{escape(said)}</a>'
