"""The portal's ways in, and what users change of themselves: by the real edge, by TLS, with real mails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from router.identity.invitations import Invitations
from router.identity.invoice_links import InvoiceLinks
from router.identity.links import Links
from router.identity.newcomers import Newcomers
from router.identity.passwords import Passwords
from router.storage.bell import SqliteBell
from router.storage.database import Database
from router.storage.key_file import read_keys
from router.storage.outbox import Outbox
from router.storage.sealing import Sealer
from router.tenants.form import TenantForm
from tests.journeys.node import DOMAIN, PASSWORD, running_node
from tests.journeys.portal_browser import Browser, Mailbox, hidden, target
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.journeys.node import Answer, Node
    from tests.journeys.upstream import RecordingUpstream

NEW = "another horse battery staple"
SESSION = "__Host-portal-session"


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the worker's mails are written."""
    return tmp_path_factory.mktemp("mails")


@pytest.fixture(scope="module")
def worker(
    _listening_upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory, mails: Path
) -> Iterator[Node]:
    """Run a worker that sends mails into a folder; Globex allows registration."""
    folder = tmp_path_factory.mktemp("node")
    with running_node(folder, _listening_upstream.url, smtp_url=f"file:{mails}") as running:
        open_to_all = TenantForm(allow_registration=True)
        running.operate(running.registry.change("globex", open_to_all, actor="test"))
        yield running


@pytest.fixture
def mailbox(mails: Path) -> Mailbox:
    """Everybody's mailbox."""
    return Mailbox(mails)


@pytest.fixture
def browser(worker: Node) -> Browser:
    """A browser at Acme's portal."""
    return Browser(worker)


def led_to(answer: Answer) -> str:
    """Where a 303 leads."""
    assert answer.status == 303, answer.body.decode()
    return answer.field("location") or ""


def told(upstream: RecordingUpstream, name: str) -> bytes:
    """What the upstream's latest request says in a field."""
    return upstream.requests[-1].value(name)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what every worker hears of by the change feed, which is well within a second."""
    asyncio.run(until(condition))


def is_out(browser: Browser) -> bool:
    """Whether the start page sends a browser to sign in."""
    answer = browser.get("/")
    return (answer.status, answer.field("location")) == (303, "/-/sign-in?return=/")


def invite(node: Node, address: str, customer: str) -> None:
    """Invite somebody, as the command line does, in a process of its own."""

    async def send() -> None:
        settings, database = node.settings, Database(node.settings.database_url)
        bell, passwords = SqliteBell(settings.database_url), Passwords(memory_kib=64, passes=1)
        links = Links(database)
        newcomers = Newcomers(database, bell, links, passwords)
        outbox = Outbox(Sealer(read_keys(settings.key_file)))
        tenant = (await node.registry.get("acme")).tenant
        invitations = Invitations(database, bell, outbox, links, newcomers)
        await invitations.invite(tenant.id, address, customer, actor="test")
        passwords.close()
        await bell.close()
        await database.close()

    node.operate(send())


def invoice_link(node: Node, slug: str, customer: str) -> str:
    """The token of the link on a customer's invoices."""

    async def get() -> str:
        database = Database(node.settings.database_url)
        keys = read_keys(node.settings.key_file)
        tenant = (await node.registry.get(slug)).tenant
        link = await InvoiceLinks(database, Links(database), keys).get(tenant.id, customer)
        await database.close()
        return link.token

    return node.operate(get())


def test_from_the_invitation_to_the_backend(
    worker: Node, browser: Browser, mailbox: Mailbox, upstream: RecordingUpstream
) -> None:
    """Mail, link, password, signed in: and the backend is told for which customer."""
    invite(worker, "invited@example.com", "C-77")
    link = mailbox.link("invited@example.com", "/-/invitation")
    assert urlsplit(link).netloc == worker.host
    for method in (b"HEAD", b"GET", b"HEAD", b"GET"):  # a mail scanner, twice
        assert Browser(worker).get(target(link), method=method).status == 200
    assert led_to(browser.fill(target(link), password=PASSWORD)) == "/"
    assert browser.get("/invoices").status == 200
    assert told(upstream, "X-Portal-Email") == b"invited@example.com"
    assert told(upstream, "X-Portal-Customer") == b"C-77"
    assert Browser(worker).get(target(link)).status == 410
    assert upstream.requests[-1].values("Cookie") == []


def test_from_the_invoice_to_the_backend(worker: Node, mailbox: Mailbox, upstream: RecordingUpstream) -> None:
    """The invoice's link, the mail that confirms, the password, signed in."""
    browser = Browser(worker, "billing.globex.test")
    token = invoice_link(worker, "globex", "G-7")
    registered = browser.fill(f"/-/register?t={token}", email="customer@example.com")
    assert led_to(registered) == "/-/mail-sent?for=registration"
    link = mailbox.link("customer@example.com", "/-/confirm")
    assert urlsplit(link).netloc == "billing.globex.test"
    assert led_to(browser.fill(target(link), password=PASSWORD)) == "/"
    assert browser.get("/").status == 200
    assert told(upstream, "X-Portal-Customer") == b"G-7"
    assert told(upstream, "X-Portal-Tenant") == b"globex"
    assert browser.get(f"/-/register?t={token}").status == 410
    assert Browser(worker).get("/-/register").status == 403


def test_from_forgotten_to_the_backend(
    worker: Node, browser: Browser, mailbox: Mailbox, upstream: RecordingUpstream
) -> None:
    """The reset signs everybody out, and the new password in."""
    worker.sign_in("acme", "forgetful@example.com", "C-5")
    thief = Browser(worker)
    assert led_to(thief.fill("/-/sign-in", email="forgetful@example.com", password=PASSWORD)) == "/"
    assert thief.get("/").status == 200
    assert led_to(browser.fill("/-/forgot", email="forgetful@example.com")) == "/-/mail-sent?for=reset"
    link = mailbox.link("forgetful@example.com", "/-/reset")
    assert led_to(browser.fill(target(link), password=NEW)) == "/-/sign-in?done=password-changed"
    eventually(lambda: is_out(thief))
    assert browser.fill("/-/sign-in", email="forgetful@example.com", password=PASSWORD).status == 422
    assert led_to(browser.fill("/-/sign-in", email="forgetful@example.com", password=NEW)) == "/"
    assert browser.get("/").status == 200
    assert told(upstream, "X-Portal-Customer") == b"C-5"


def test_links_are_on_the_tenants_own_hostname(worker: Node, mailbox: Mailbox) -> None:
    """Whatever a request calls its host, a mail's link has the hostname that the tenant has (THREATS 63)."""
    worker.sign_in("globex", "poisoned@example.com")
    browser = Browser(worker, f"globex.{DOMAIN}")
    page = browser.get("/-/forgot")
    browser.post(
        "/-/forgot",
        {**hidden(page), "email": "poisoned@example.com"},
        b"X-Forwarded-Host: evil.example",
        b"X-Router-Host: evil.example",
        b"Forwarded: host=evil.example",
        b"X-Original-URL: https://evil.example/",
    )
    assert urlsplit(mailbox.link("poisoned@example.com", "/-/reset")).netloc == "billing.globex.test"
    (message,) = mailbox.received("poisoned@example.com")
    assert b"evil.example" not in message.as_bytes()
    assert browser.get("/-/forgot", host="evil.example").status in (404, 421)


def test_a_changed_address_reaches_the_backend(
    worker: Node, browser: Browser, mailbox: Mailbox, upstream: RecordingUpstream
) -> None:
    """Confirmed in the new mailbox, told in the old one; the session goes on under the new address."""
    worker.sign_in("acme", "old@example.com")
    browser.fill("/-/sign-in", email="old@example.com", password=PASSWORD)
    asked = browser.fill("/-/account/email", email="new@example.com", current=PASSWORD)
    assert led_to(asked) == "/-/account?done=email-asked"
    assert browser.get("/").status == 200
    assert told(upstream, "X-Portal-Email") == b"old@example.com"
    link = mailbox.link("new@example.com", "/-/confirm-email")
    assert led_to(Browser(worker).fill(target(link))) == "/-/sign-in?done=email-changed"
    eventually(
        lambda: browser.get("/").status == 200 and told(upstream, "X-Portal-Email") == b"new@example.com"
    )
    assert mailbox.received("old@example.com")


def test_several_customers_choose_and_change(
    worker: Node, browser: Browser, upstream: RecordingUpstream
) -> None:
    """Nobody reaches the backend undecided: a person is asked, a program told; then for the one chosen."""
    _, session = worker.sign_in("acme", "both@example.com", "C-1")
    worker.operate(worker.users.add_customer(session.user_id, "C-2", actor="test"))
    browser.fill("/-/sign-in", email="both@example.com", password=PASSWORD)
    assert led_to(browser.get("/invoices?page=2")) == "/-/customer?return=/invoices%3Fpage%3D2"
    program = browser.get("/api", b"X-Requested-With: XMLHttpRequest")
    assert (program.status, b"choose_customer" in program.body) == (403, True)
    assert browser.post("/form", {"a": "b"}).status == 403
    assert upstream.requests == []
    chosen = browser.fill("/-/customer?return=/invoices%3Fpage%3D2", customer="C-2")
    assert led_to(chosen) == "/invoices?page=2"
    assert browser.get("/invoices?page=2").status == 200
    assert told(upstream, "X-Portal-Customer") == b"C-2"
    changed = browser.fill("/-/customer", customer="C-1")
    assert changed.field("clear-site-data") == '"cache"'
    assert browser.get("/").status == 200
    assert told(upstream, "X-Portal-Customer") == b"C-1"


def test_sessions_are_listed_and_ended(worker: Node, browser: Browser) -> None:
    """One ends the others from the list; and everywhere means everywhere, at once."""
    worker.sign_in("acme", "many@example.com")
    others = [Browser(worker) for _ in range(2)]
    for each in (browser, *others):
        each.fill("/-/sign-in", email="many@example.com", password=PASSWORD)
    assert browser.get("/-/account").body.count(b'value="ses_') == 3  # and that of `sign_in` above
    assert led_to(browser.fill("/-/account", session="others")) == "/-/account?done=sessions-ended"
    for each in others:
        assert led_to(each.get("/")) == "/-/sign-in?return=/"
    others[0].fill("/-/sign-in", email="many@example.com", password=PASSWORD)
    out = browser.fill("/-/sign-out", where="everywhere")
    assert (led_to(out), out.field("clear-site-data")) == ("/-/signed-out", '"cache", "storage"')
    for each in (browser, others[0]):
        assert led_to(each.get("/")) == "/-/sign-in?return=/"


def test_a_planted_session_is_never_signed_in(worker: Node, browser: Browser) -> None:
    """Whatever token was there before, signing in makes another, and the old one opens nothing."""
    _, planted = worker.sign_in("acme", "mallory@example.com")
    token, _ = worker.sign_in("acme", "victim@example.com")
    browser.jar[SESSION] = "A" * 43
    browser.fill("/-/sign-in", email="victim@example.com", password=PASSWORD)
    assert browser.jar[SESSION] not in ("A" * 43, token, planted.key)
    before = browser.jar[SESSION]
    page = Browser(worker).get("/-/sign-in")
    browser.jar |= {
        "__Host-portal-csrf": (page.field("set-cookie") or "").partition(";")[0].partition("=")[2]
    }
    fields = {**hidden(page), "email": "victim@example.com", "password": PASSWORD}
    browser.post("/-/sign-in", fields)
    assert browser.jar[SESSION] != before
    stale = Browser(worker)
    stale.jar[SESSION] = before
    assert led_to(stale.get("/")) == "/-/sign-in?return=/"


@pytest.mark.parametrize(
    "path", ["/-/sign-in", "/-/sign-out", "/-/forgot", "/-/account/password", "/-/language"]
)
def test_forms_from_elsewhere_do_nothing(browser: Browser, path: str) -> None:
    """A foreign Origin, no token, or JSON in text/plain: 403 at the real door, too (THREATS 47)."""
    page = browser.get("/-/sign-in")
    fields = {**hidden(page), "email": "x@example.com", "password": PASSWORD, "language": "de"}
    assert browser.post(path, fields, origin="https://evil.example").status == 403
    assert browser.post(path, fields, origin=f"https://globex.{DOMAIN}").status == 403
    assert browser.post(path, fields | {"csrf": "A" * 43}).status in (303, 403)
    assert SESSION not in browser.jar
    json = b'{"email": "x@example.com"}'
    lines = [b"Content-Type: text/plain", b"Origin: https://" + browser.host.encode()]
    assert browser._ask(b"POST", path, lines, json, None).status == 403  # noqa: SLF001 - no form at all


def test_nobody_is_led_away(browser: Browser, worker: Node) -> None:
    """A return target of another site is dropped at every page that has one."""
    worker.sign_in("acme", "led@example.com")
    for away in ("//evil.example", "https:evil.example", "/%5Cevil.example", "/%252F/evil.example"):
        assert hidden(browser.get(f"/-/sign-in?return={away}"))["return"] == "/"
    page = browser.get("/-/sign-in")
    fields = {**hidden(page), "return": "//evil.example", "email": "led@example.com", "password": PASSWORD}
    assert led_to(browser.post("/-/sign-in", fields)) == "/"
    switch = {**hidden(browser.get("/-/account"), -1), "language": "de", "here": "https://evil.example/"}
    assert led_to(browser.post("/-/language", switch)) == "/"
