"""The frame of the operators' pages: who is let in, how forms are sent, and how each failure is told."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

import router.console
from router.console.operator_links import LIFE
from router.console.operator_sessions import IDLE
from router.console.pages.navigation import OF_TENANT, PLATFORM
from router.console.pages.rendering import environment
from router.console.pages.static_files import StaticFiles
from router.console.scopes import PLATFORMS_OWN
from router.errors import Unavailable
from router.storage.database import Database
from tests.console.page_browser import PASSWORD, PageBrowser, signed_in

if TYPE_CHECKING:
    from tests.console.stand import Stand

CONSOLE = Path(router.console.__file__).parent
ROOT = CONSOLE.parents[1]


async def test_a_stranger_is_sent_to_sign_in_and_back(stand: Stand) -> None:
    """Where they were going is where they come to, if it is a place of ours."""
    await signed_in(stand, email="ada@example.com")
    browser = PageBrowser(stand.url)
    away = await browser.get("/account?x=1")
    assert (away.status, away.location) == (303, "/sign-in?return=%2Faccount%3Fx%3D1")
    form = await browser.get(away.location)
    assert form.value("return") == "/account?x=1"
    back = await browser.sign_in("ada@example.com", return_to="/account?x=1")
    assert (back.status, back.location) == (303, "/account?x=1")
    assert (await browser.get("/account")).title == "Your account"
    again = await browser.get("/sign-in?return=/account")
    assert (again.status, again.location) == (303, "/account")


async def test_what_is_no_name_names_nothing(stand: Stand) -> None:
    """A NUL in a path is a page that is not there, on PostgreSQL too, whose texts hold none."""
    browser = await signed_in(stand)
    for path in ("/tenants/%00/settings", "/tenants/acme/users/%00", "/tenants/acme/webhooks/" + "x" * 256):
        assert (await browser.get(path)).status == 404
    for path in ("/tokens/%00/revoke", "/tenants/acme/tokens/a%00b/revoke", "/tenants/%00/suspend"):
        assert (await browser.post(path)).status == 404


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "/\\evil.example", "/sign-out", "/sign-in", "x", ""]
)
async def test_no_sign_in_leads_away(stand: Stand, target: str) -> None:
    """Nor in a circle."""
    await signed_in(stand, email="ada@example.com")
    assert (await PageBrowser(stand.url).sign_in("ada@example.com", return_to=target)).location == "/"


async def test_the_cookies_are_host_cookies(stand: Stand) -> None:
    """Secure, HttpOnly, SameSite=Strict, for this host alone; a fresh one at every sign-in."""
    await signed_in(stand, email="ada@example.com")
    browser = PageBrowser(stand.url)
    [csrf] = (await browser.get("/sign-in")).set_cookies
    [session] = (await browser.sign_in("ada@example.com")).set_cookies
    for cookie, name in ((csrf, "csrf"), (session, "session")):
        assert cookie.startswith(f"__Host-console-{name}=")
        attributes = {each.strip() for each in cookie.split(";")[1:]}
        assert attributes == {"HttpOnly", "Path=/", "SameSite=Strict", "Secure"}
    first = browser.cookies["__Host-console-session"]
    await browser.post("/sign-out")
    assert "__Host-console-session" not in browser.cookies
    await browser.sign_in("ada@example.com")
    assert browser.cookies["__Host-console-session"] != first
    browser.cookies["__Host-console-session"] = first
    assert (await browser.get("/account")).status == 303


async def test_two_cookies_of_a_name_are_none(stand: Stand) -> None:
    """One of them was planted."""
    browser = await signed_in(stand)
    token = browser.cookies.pop("__Host-console-session")
    browser.cookies["__Host-console-session"] = f"{token}; __Host-console-session={'x' * 43}"
    assert (await browser.get("/account")).status == 303


async def test_a_wrong_password_says_nothing_more(stand: Stand) -> None:
    """422, the same for an address that is nobody's; the address stays, the password never comes back."""
    await signed_in(stand, email="ada@example.com")
    shown = [await PageBrowser(stand.url).sign_in(f"{who}@example.com", "not it") for who in ("ada", "eve")]
    assert [(each.status, each.codes) for each in shown] == [(422, ["sign_in_refused"])] * 2
    assert shown[0].value("email") == "ada@example.com"
    assert "not it" not in shown[0].body
    missing = await PageBrowser(stand.url).sign_in("", "")
    assert missing.codes == ["email_missing", "password_missing"]


async def test_too_many_attempts_are_told(stand: Stand) -> None:
    """429, with when to try again."""
    browser = PageBrowser(stand.url)
    for _ in range(10):
        await browser.sign_in("ada@example.com", "not it")
    refused = await browser.sign_in("ada@example.com", "not it")
    assert (refused.status, refused.codes) == (429, ["too_many_attempts"])
    assert int(refused.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "fields",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://admin.portal.example:8443"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
async def test_a_form_from_another_site_is_refused(stand: Stand, fields: dict[str, str]) -> None:
    """Before it is read, whatever it brings (THREATS 47)."""
    browser = await signed_in(stand)
    refused = await browser.post("/sign-out", said=fields)
    assert refused.status == 403
    assert (await browser.get("/account")).status == 200


@pytest.mark.parametrize("token", ["", "x", "é"])
async def test_a_form_without_its_token_comes_again(stand: Stand, token: str) -> None:
    """Nothing is done; the token of another session is none (THREATS 48)."""
    await signed_in(stand, email="ada@example.com")
    browser = PageBrowser(stand.url)
    typed = {"email": "ada@example.com", "password": PASSWORD, "csrf": token}
    shown = await browser.post("/sign-in", typed, page="/sign-in")
    assert (shown.status, shown.codes) == (403, ["stale_form"])
    assert shown.value("email") == "ada@example.com"


async def test_a_token_belongs_to_a_session(stand: Stand) -> None:
    """What a stranger's page had opens nothing after the sign-in."""
    browser = await signed_in(stand)
    session = browser.cookies.pop("__Host-console-session")
    strangers = (await browser.get("/sign-in")).csrf
    browser.cookies["__Host-console-session"] = session
    refused = await browser.post("/sign-out", {"csrf": strangers})
    assert (refused.status, refused.codes) == (403, ["stale_form"])


async def test_only_forms_are_read(stand: Stand) -> None:
    """JSON is none; a form that is too long, or has a field twice, is refused."""
    browser = PageBrowser(stand.url)
    await signed_in(stand, email="ada@example.com")
    long = await browser.post("/sign-in", {"email": "x" * 20_000, "password": "x"}, page="/sign-in")
    assert long.status == 413
    uploaded = await browser.post("/sign-in", {"email": ("x" * 300, b"x" * 100)}, page="/sign-in")
    assert uploaded.status == 422
    too_large = await browser.post("/sign-in", {"email": ("x", b"x" * 20_000)}, page="/sign-in")
    assert too_large.status == 413


async def test_every_answer_is_protected(stand: Stand) -> None:
    """Kept nowhere, framed by nobody, nothing inline, no word of what made it; errors and redirects too."""
    browser = PageBrowser(stand.url)
    for path in ("/", "/sign-in", "/nothing", "/welcome?t=x"):
        shown = await browser.get(path)
        assert shown.headers["Cache-Control"] == "no-store"
        assert shown.headers["X-Content-Type-Options"] == "nosniff"
        assert shown.headers["X-Frame-Options"] == "DENY"
        assert shown.headers["Referrer-Policy"] == "strict-origin"
        assert shown.headers["Server"] == "tenant-router"
        policy = shown.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert " style=" not in shown.body
        assert "<style" not in shown.body


async def test_static_files_are_kept_by_what_they_are(stand: Stand) -> None:
    """For ever under the address that pages name; under another one they are served, and not kept."""
    browser = PageBrowser(stand.url)
    page = await browser.get("/sign-in")
    address = page.body.partition('rel="stylesheet" href="')[2].partition('"')[0]
    named = await browser.get(address)
    assert named.headers["Content-Type"].startswith("text/css")
    assert named.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for other in ("/static/console-0123456789abcdef.css", "/static/console.css"):
        assert (await browser.get(other)).headers["Cache-Control"] == "no-cache"
    for none in ("/static/", "/static/nothing.css", "/static/console.css/x", "/static/..%2fpieces.html"):
        assert (await browser.get(none)).status == 404


async def test_a_wrong_method_is_told(stand: Stand) -> None:
    """With those that there are."""
    browser = await signed_in(stand)
    shown = await browser.post("/", page="/account")
    assert (shown.status, shown.headers["Allow"]) == (405, "GET,HEAD")
    assert (await browser.get("/account/sessions/end")).status == 405


async def test_without_the_edge_there_is_nothing(stand: Stand) -> None:
    """A request that did not come through it is not answered with a page."""
    assert (await PageBrowser(stand.url).get("/sign-in", X_Router_Host="")).status == 400


async def test_the_api_stays_the_apis(stand: Stand) -> None:
    """What is below /api/ is told as problems, whoever is signed in: a cookie is no token."""
    browser = await signed_in(stand)
    shown = await browser.get("/api/v1/nothing")
    assert (shown.status, shown.headers["Content-Type"]) == (404, "application/problem+json")
    assert "__Host-console" not in str(shown.set_cookies)


async def test_another_sites_link(stand: Stand) -> None:
    """Comes without our cookie: the same address is asked for once more, by a page of ours."""
    shown = await PageBrowser(stand.url).get("/account", Sec_Fetch_Site="cross-site")
    assert (shown.status, shown.location) == (200, "")
    assert '<meta http-equiv="refresh" content="0;url=/account">' in shown.body
    assert (await PageBrowser(stand.url).get("/account", Sec_Fetch_Site="same-origin")).status == 303


async def test_a_link_is_looked_at_and_then_used(stand: Stand) -> None:
    """Looking changes nothing; the password is typed twice; then they are signed in."""
    token, _ = await stand.use_cases.operators.add(
        "ada@example.com", tenant_id=None, read_only=False, actor="x"
    )
    browser, address = PageBrowser(stand.url), f"/welcome?t={token}"
    for _ in range(3):
        assert "ada@example.com" in (await browser.get(address)).body
    typed = {"t": token, "password": PASSWORD, "again": "other"}
    differs = await browser.post("/welcome", typed, page=address)
    assert (differs.status, differs.codes) == (422, ["password_differs"])
    weak = await browser.post("/welcome", {"t": token, "password": "x", "again": "x"}, page=address)
    assert weak.codes == ["password_too_short"]
    assert weak.value("t") == token
    done = await browser.post("/welcome", typed | {"again": PASSWORD}, page=address)
    assert (done.status, done.location) == (303, "/")
    assert "ada@example.com" in (await browser.get("/account")).body
    used = await PageBrowser(stand.url).get(address)
    assert (used.status, used.codes) == (409, ["link_used"])


async def test_links_that_open_nothing(stand: Stand) -> None:
    """Are told apart for people: unknown, and expired."""
    token, _ = await stand.use_cases.operators.add(
        "ada@example.com", tenant_id=None, read_only=False, actor="x"
    )
    unknown = await PageBrowser(stand.url).get("/welcome?t=x")
    assert (unknown.status, unknown.codes) == (404, ["link_unknown"])
    stand.now += LIFE
    expired = await PageBrowser(stand.url).get(f"/welcome?t={token}")
    assert (expired.status, expired.codes) == (409, ["link_expired"])


async def test_the_first_operator_says_who_they_are(stand: Stand) -> None:
    """And is the platform's."""
    link = await stand.use_cases.operators.first_link()
    browser, address = PageBrowser(stand.url), f"/welcome?t={link}"
    assert 'name="email"' in (await browser.get(address)).body
    typed = {"t": link or "", "email": "nobody", "password": PASSWORD, "again": PASSWORD}
    assert (await browser.post("/welcome", typed, page=address)).codes == ["bad_email"]
    await browser.post("/welcome", typed | {"email": "root@example.com"}, page=address)
    assert "Platform operator" in (await browser.get("/account")).body


async def test_the_account_ends_sessions(stand: Stand) -> None:
    """One, or all others; another operator's session is a 404."""
    browser, other = await signed_in(stand), await signed_in(stand, email="eve@example.com")
    ada = await stand.use_cases.operators.find_by_email("operator@platform.example")
    assert ada is not None
    sessions = stand.use_cases.operator_sessions
    for _ in range(2):
        await sessions.start(ada, address="::1", user_agent="<b>", previous=None)
    page = await browser.get("/account")
    assert "&lt;b&gt;" in page.body
    [session_id, _] = [each.id for each in await sessions.of_operator(ada.id) if each.user_agent == "<b>"]
    assert (await other.post(f"/account/sessions/{session_id}/end")).status == 404
    done = await browser.post(f"/account/sessions/{session_id}/end")
    assert (await browser.get(done.location)).notice == "That session has ended."
    done = await browser.post("/account/sessions/end")
    assert (await browser.get(done.location)).notice == "All your other sessions have ended."
    assert len(await sessions.of_operator(ada.id)) == 1


async def test_the_account_changes_the_password(stand: Stand) -> None:
    """By the present one; each fault at its field."""
    browser = await signed_in(stand)
    typed = {"present": "wrong", "password": "another-fine-one", "again": "another-fine-one"}
    assert (await browser.post("/account", typed)).codes == ["password_wrong"]
    done = await browser.post("/account", typed | {"present": PASSWORD})
    assert done.location == "/account?done=password-changed"
    assert "password is changed" in (await browser.get(done.location)).notice
    assert (await PageBrowser(stand.url).sign_in("operator@platform.example")).status == 422


async def test_who_is_disabled_is_out(stand: Stand) -> None:
    """With the next page; and so is who was idle for an hour."""
    await signed_in(stand, email="root@example.com")
    browser = await signed_in(stand)
    ada = await stand.use_cases.operators.find_by_email("operator@platform.example")
    assert ada is not None
    await stand.use_cases.operators.change(ada.id, disabled=True, actor="x")
    assert (await browser.get("/account")).status == 303
    idle = await signed_in(stand, email="idle@example.com")
    stand.now += IDLE
    assert (await idle.get("/account")).status == 303


async def test_a_tenants_operator_is_shown_their_own(stand: Stand) -> None:
    """Neither the platform's sections nor another tenant's."""
    shown = await (await signed_in(stand, stand.acme)).get("/account")
    assert "Tenant operator of acme" in shown.body
    assert 'href="/tenants"' not in shown.body
    assert "globex" not in shown.body


@pytest.mark.parametrize("read_only", [False, True])
async def test_another_tenant_does_not_exist(stand: Stand, *, read_only: bool) -> None:
    """Every section of another's tenant is the page of one that there never was; what is sent there, too."""
    browser = await signed_in(stand, stand.acme, read_only=read_only)
    for section in OF_TENANT:
        others = await browser.get(f"/tenants/globex{section.path}")
        nobodys = await browser.get(f"/tenants/nobody{section.path}")
        told = 403 if section.scope in PLATFORMS_OWN else 404  # who lacks the scope hears of that first
        assert (others.status, others.body) == (told, nobodys.body), section.key
        sent = await browser.post(f"/tenants/globex{section.path}", {"name": "Mine"})
        # 403 is for a scope that they lack, 405 for a section without a form: of whichever tenant.
        assert sent.status in (404, 405) or (sent.status == 403 and (read_only or told == 403)), section.key
        assert "Globex" not in others.body + sent.body


async def test_the_platforms_pages_are_not_a_tenants(stand: Stand) -> None:
    """Nor does a list without a tenant in its path show who is bound to one anything of another."""
    await signed_in(stand, email="root@example.com")
    browser = await signed_in(stand, stand.acme)
    for section in PLATFORM:
        shown = await browser.get(section.path)
        assert shown.status in (403, 404) or "lobex" not in shown.body, section.key
        assert "root@example.com" not in shown.body, section.key


async def test_while_the_database_is_away(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is a 503 with when to try again; a form comes again, and says so; nobody is signed out by it."""
    browser, stranger = await signed_in(stand, email="ada@example.com"), PageBrowser(stand.url)

    def away(_: Database) -> NoReturn:
        raise Unavailable("database_unavailable", "The database does not answer.") from OSError("10.0.0.9")

    with monkeypatch.context() as outage:
        outage.setattr(Database, "read", away)
        page = await browser.get("/account")
        form = await stranger.sign_in("ada@example.com")
    assert (page.status, page.headers["Retry-After"]) == (503, "30")
    assert "Reference: <code>req-1</code>" in page.body
    assert (form.status, form.codes, form.value("email")) == (
        503,
        ["database_unavailable"],
        "ada@example.com",
    )
    assert "10.0.0.9" not in page.body + form.body
    assert (await browser.get("/account")).status == 200


def test_the_wheel_has_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installs the wheel has every template, and every file that pages name."""
    build = pytest.importorskip("hatchling.build", reason="needs hatchling, the build backend")
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build.build_wheel(str(tmp_path))) as archive:
        names = set(archive.namelist())
    shipped = [*CONSOLE.glob("templates/*"), *CONSOLE.glob("static/*")]
    assert len(shipped) > 5
    assert names >= {str(path.relative_to(ROOT)) for path in shipped}


def test_every_template_is_sound() -> None:
    """Each of them can be compiled, and has nothing inline that the policy would keep from working."""
    made = environment(StaticFiles())
    for name in made.list_templates():
        made.get_template(name)
        text = (CONSOLE / "templates" / name).read_text("utf-8")
        assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son[a-z]+=", text), name
