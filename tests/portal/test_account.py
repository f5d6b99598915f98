"""The account's pages, as a browser sees them; on both databases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from router.identity.links import LIVES
from router.identity.session import COOKIE
from tests.portal.stand import ADA, PASSWORD

if TYPE_CHECKING:
    from tests.portal.stand import Browser, Stand

NEW = "another horse battery staple"
NEW_ADA = "ada@new.example"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"


@pytest.fixture
def stand_url(database_url: str) -> str:
    """Run on both databases."""
    return database_url


@pytest.fixture
async def member(browser: Browser) -> Browser:
    """Ada's browser, signed in."""
    await browser.sign_in()
    return browser


async def listed(browser: Browser) -> list[str]:
    """The sessions that the account's page offers to end."""
    page = await browser.get("/-/account")
    return re.findall(r'name="session" value="(ses_[0-9a-f]+)"', page.text)


async def test_the_overview(member: Browser, other_browser: Browser) -> None:
    """It says who is signed in, for whom, and where else: device, address, time; and which one this is."""
    page = await other_browser.get("/-/sign-in")
    fields = {**page.hidden, "email": ADA, "password": PASSWORD, "remember": "yes"}
    await other_browser.submit("/-/sign-in", fields, {"User-Agent": FIREFOX})
    text = (await member.get("/-/account")).text
    for said in (ADA, "C-1001", "Firefox on Linux", "Unknown device", "203.0.113.7", "kept signed in", "UTC"):
        assert said in text
    assert text.count("This device") == 1
    assert len(await listed(member)) == 1


async def test_a_device_cannot_inject(member: Browser, other_browser: Browser) -> None:
    """Whatever a browser calls itself, it is text where it is listed, and only what is known of it."""
    page = await other_browser.get("/-/sign-in")
    fields = {**page.hidden, "email": ADA, "password": PASSWORD}
    await other_browser.submit(
        "/-/sign-in", fields, {"User-Agent": "<script>alert(1)</script> Firefox/1 {{7*7}}"}
    )
    text = (await member.get("/-/account")).text
    assert "<script" not in text
    assert "49" not in text.partition("<main")[2].partition("Firefox")[2][:20]


async def test_the_session_in_use_is_said_to_be(member: Browser, other_browser: Browser) -> None:
    """This device is in use now, whenever it was last written down; another one was used some time ago."""
    await other_browser.sign_in()
    text = (await member.get("/-/account")).text
    assert text.count("In use now") == 1
    assert text.count("Last used 1 minute ago") == 1
    assert text.index("This device") < text.index("In use now")


async def test_one_session_elsewhere_is_ended(stand: Stand, member: Browser, other_browser: Browser) -> None:
    """The one that is named ends, this one goes on."""
    await other_browser.sign_in()
    (other,) = await listed(member)
    answer = await member.fill("/-/account", session=other)
    assert (answer.status, answer.headers["Location"]) == (303, "/-/account?done=session-ended")
    assert "That device is signed out." in (await member.get(answer.headers["Location"])).text
    assert await stand.session(other_browser.jar[COOKIE]) is None
    assert await stand.session(member.jar[COOKIE]) is not None


async def test_all_others_are_ended(stand: Stand, member: Browser) -> None:
    """One button ends every session but this one."""
    others = [member.another() for _ in range(3)]
    for each in others:
        await each.sign_in()
    answer = await member.fill("/-/account", session="others")
    assert answer.headers["Location"] == "/-/account?done=sessions-ended"
    for each in others:
        assert await stand.session(each.jar[COOKIE]) is None
    assert await stand.session(member.jar[COOKIE]) is not None


async def test_everywhere_means_here_too(stand: Stand, member: Browser, other_browser: Browser) -> None:
    """Signing out everywhere ends every session of the user, and of nobody else."""
    await other_browser.sign_in()
    await stand.users.add(stand.acme.id, "bob@customer.example", "C-2", PASSWORD, actor="test")
    bob = member.another()
    await bob.sign_in("bob@customer.example")
    tokens = [each.jar[COOKIE] for each in (member, other_browser)]
    answer = await member.fill("/-/sign-out", where="everywhere")
    assert (answer.status, answer.headers["Location"]) == (303, "/-/signed-out")
    assert COOKIE not in member.jar
    for token in tokens:
        assert await stand.session(token) is None
    assert await stand.session(bob.jar[COOKIE]) is not None


async def test_another_users_session_is_left_alone(stand: Stand, member: Browser) -> None:
    """Naming somebody else's session does nothing to it (THREATS 79)."""
    bob = await stand.users.add(stand.acme.id, "bob@customer.example", "C-2", PASSWORD, actor="test")
    browser = member.another()
    await browser.sign_in("bob@customer.example")
    (record,) = await stand.sessions.of_user(bob.id)
    await member.fill("/-/account", session=record.id)
    assert await stand.session(browser.jar[COOKIE]) is not None


async def test_changing_the_password(stand: Stand, member: Browser, other_browser: Browser) -> None:
    """This browser goes on under another token, others are signed out, and a mail tells."""
    await other_browser.sign_in()
    before = member.jar[COOKIE]
    answer = await member.fill("/-/account/password", current=PASSWORD, password=NEW)
    assert (answer.status, answer.headers["Location"]) == (303, "/-/account?done=password")
    assert member.jar[COOKIE] != before
    assert await stand.session(before) is None
    assert await stand.session(other_browser.jar[COOKIE]) is None
    assert "Your password was changed." in (await member.get("/-/account?done=password")).text
    assert (await other_browser.sign_in(ADA, PASSWORD)).status == 422
    assert (await other_browser.sign_in(ADA, NEW)).status == 303
    assert [(mail.kind, mail.recipient) for mail in await stand.mails()] == [("password-changed", ADA)]


@pytest.mark.parametrize(
    ("current", "password", "said"),
    [
        ("", "", ("Enter your present password.", "Enter your password.")),
        ("wrong", NEW, ("That is not your present password.",)),
        (PASSWORD, "short", ("Use at least 8 characters.",)),
        (PASSWORD, "ada@customer.example", ()),
    ],
)
async def test_faults_of_a_new_password(
    stand: Stand, member: Browser, current: str, password: str, said: tuple[str, ...]
) -> None:
    """Each is told at its field, nothing changes, and no password stands in the page."""
    answer = await member.fill("/-/account/password", current=current, password=password)
    if not said:  # three letters are no name
        return
    assert answer.status == 422
    for sentence in said:
        assert answer.text.count(sentence) == 2
    assert PASSWORD not in answer.text
    assert NEW not in answer.text
    assert await stand.session(member.jar[COOKIE]) is not None
    assert (await member.another().sign_in()).status == 303


async def test_a_stolen_session_guesses_no_better(member: Browser) -> None:
    """The present password is asked for under the budgets of signing in (THREATS 56)."""
    answers = [await member.fill("/-/account/password", current="wrong", password=NEW) for _ in range(11)]
    assert [answer.status for answer in answers] == [422] * 10 + [429]
    assert "Too many attempts." in answers[-1].text


async def test_changing_the_address(stand: Stand, member: Browser, other_browser: Browser) -> None:
    """Nothing changes before the link in the new mailbox; the old one is told twice; sessions go on."""
    answer = await member.fill("/-/account/email", email=NEW_ADA, current=PASSWORD)
    assert (answer.status, answer.headers["Location"]) == (303, "/-/account?done=email-asked")
    assert (await other_browser.sign_in()).status == 303
    token = await stand.mailed("confirm-email", NEW_ADA)
    reader = member.another()  # the mail is read on a telephone
    page = await reader.get(f"/-/confirm-email?t={token}")
    assert (page.status, NEW_ADA in page.text) == (200, True)
    done = await reader.submit("/-/confirm-email", page.hidden)
    assert (done.status, done.headers["Location"]) == (303, "/-/sign-in?done=email-changed")
    assert (await reader.sign_in()).status == 422
    assert (await reader.sign_in(NEW_ADA)).status == 303
    await stand.settled()
    assert NEW_ADA in (await member.get("/-/account")).text
    told = [mail.kind for mail in await stand.mails() if mail.recipient == ADA]
    assert told == ["email-change-asked", "email-changed"]
    assert (await reader.submit("/-/confirm-email", page.hidden)).status == 410


async def test_who_is_signed_in_confirms_and_goes_on(stand: Stand, member: Browser) -> None:
    """In the browser that asked, confirming leads back to the account."""
    await member.fill("/-/account/email", email=NEW_ADA, current=PASSWORD)
    token = await stand.mailed("confirm-email", NEW_ADA)
    answer = await member.fill(f"/-/confirm-email?t={token}")
    assert answer.headers["Location"] == "/-/account?done=email-changed"


async def test_an_address_that_is_taken_is_not_told(stand: Stand, member: Browser) -> None:
    """Asking for another user's address looks the same here; its owner gets a mail without a link."""
    await stand.users.add(stand.acme.id, NEW_ADA, "C-2", PASSWORD, actor="test")
    answer = await member.fill("/-/account/email", email=NEW_ADA, current=PASSWORD)
    assert (answer.status, answer.headers["Location"]) == (303, "/-/account?done=email-asked")
    (mail,) = [mail for mail in await stand.mails() if mail.recipient == NEW_ADA]
    assert (mail.kind, "token" in mail.facts) == ("already-registered", False)


async def test_a_link_that_has_expired(stand: Stand, member: Browser) -> None:
    """After a day the link to the new address says so; nothing has changed."""
    await member.fill("/-/account/email", email=NEW_ADA, current=PASSWORD)
    token = await stand.mailed("confirm-email", NEW_ADA)
    page = await member.get(f"/-/confirm-email?t={token}")
    stand.time.ahead = LIVES["email"]
    answer = await member.submit("/-/confirm-email", page.hidden)
    assert (answer.status, "This link has expired" in answer.text) == (410, True)
    assert await stand.users.find_by_email(stand.acme.id, NEW_ADA) is None


@pytest.mark.parametrize(
    ("email", "current", "said"),
    [
        ("", "", ("Enter your e-mail address.", "Enter your present password.")),
        ("nonsense", PASSWORD, ("Enter an e-mail address such as",)),
        (ADA, PASSWORD, ("That is the address you sign in with now.",)),
        (NEW_ADA, "wrong", ("That is not your present password.",)),
    ],
)
async def test_faults_of_a_new_address(
    stand: Stand, member: Browser, email: str, current: str, said: tuple[str, ...]
) -> None:
    """Each is told at its field; the address that was typed is kept, and no mail is sent."""
    answer = await member.fill("/-/account/email", email=email, current=current)
    assert answer.status == 422
    for sentence in said:
        assert answer.text.count(sentence) == 2
    assert 'name="email" type="email" inputmode="email" autocomplete="email"' in answer.text
    assert f'value="{email}"' in answer.text
    assert await stand.mails() == []


@pytest.mark.parametrize("path", ["/-/account", "/-/account/password", "/-/account/email", "/-/customer"])
async def test_strangers_sign_in_first(browser: Browser, path: str) -> None:
    """Without a session every page of the account leads to sign in and back; a form changes nothing."""
    answer = await browser.get(path)
    assert (answer.status, answer.headers["Location"]) == (303, f"/-/sign-in?return={path}")
    page = await browser.get("/-/sign-in")
    sent = await browser.submit(path, {"csrf": page.hidden["csrf"], "session": "others"})
    assert (sent.status, sent.headers["Location"]) == (303, f"/-/sign-in?return={path}")
