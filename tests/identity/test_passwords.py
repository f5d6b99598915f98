from __future__ import annotations

import asyncio
import itertools
import time
import unicodedata

import pytest
from argon2 import Type, extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from router.errors import BadInput, Unavailable
from router.identity import passwords as subject
from router.identity.passwords import MAX_LENGTH, Passwords, check_new_password, is_common, normalised

GOOD = "violet-anvil-93-cantata"


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    """Argon2 with small parameters: these tests are about everything but its strength."""
    return Passwords(memory_kib=1024, passes=1)


def _code(text: str, *, email: str = "", portal: tuple[str, ...] = ()) -> str | None:
    try:
        check_new_password(text, email=email, portal=portal)
    except BadInput as fault:
        return fault.code
    return None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (GOOD, None),
        ("kq7-tz2m", None),
        ("kq7-tz2", "password_too_short"),
        ("", "password_too_short"),
        ("correct horse with spaces and a staple", None),
        ("пароль из многих слов", None),
        ("🦜🌵🚲🎻🧭🪁🥁🪀", None),
        ("kq7-" * 16, None),  # 64 characters
        ("kq7-" * 64, None),  # 256
        ("kq7-" * 64 + "x", "password_too_long"),
        ("x" * 1_000_000, "password_too_long"),
        ("kq7-tz2m\ud800", "password_too_long"),
        ("password", "password_common"),
        ("PassWord123", "password_common"),
        ("P@ssw0rd!", "password_common"),
        ("QWERTYUIOP", "password_common"),
        ("1qaz2wsx3edc", "password_common"),
        ("Summer2026!", "password_common"),
        ("michael1985", "password_common"),
        ("monkeymonkey", "password_common"),
        ("aaaaaaaaaaaaaaaa", "password_common"),
        ("        ", "password_common"),
        ("12345678", "password_common"),
    ],
)
def test_new_password_is_judged(text: str, code: str | None) -> None:
    """At least 8 characters and not a common one; spaces, Unicode and 64 characters and more are welcome."""
    assert _code(text) == code


@pytest.mark.parametrize(
    ("text", "email", "portal", "code"),
    [
        ("mary.jones-of-acme", "mary.jones@acme.example", (), "password_personal"),
        ("MARY.JONES1", "mary.jones@acme.example", (), "password_personal"),
        ("kq7-al-tz2m", "al@acme.example", (), None),  # two letters are inside too many good passwords
        ("blue fjord tram 7", "mary@acme.example", ("Blue Fjord", ""), "password_personal"),
        ("das blaue tor 7", "mary@acme.example", ("Blue Fjord", "Das Blaue Tor"), "password_personal"),
        ("kq7-tz2m-92", "mary@acme.example", ("Blue Fjord", ""), None),
    ],
)
def test_password_does_not_contain_who_it_is_for(
    text: str, email: str, portal: tuple[str, ...], code: str | None
) -> None:
    """A password with the e-mail address's local part or a name of the portal in it is refused."""
    assert _code(text, email=email, portal=portal) == code


def test_list_holds_thousands_and_refuses_each() -> None:
    """More than 3,000 common passwords of at least 8 characters are known (ASVS 6.2.4), in any case."""
    common = subject._common_passwords()  # noqa: SLF001 - the list itself is what is tested
    composed = {word + ending for word, ending in itertools.product(common.words, common.endings)}
    listed = [text for text in common.whole | composed if len(text) >= subject.MIN_LENGTH]
    assert len(listed) > 50_000
    assert len([text for text in common.whole if len(text) >= subject.MIN_LENGTH]) > 1_000
    sample = sorted(listed)[:: len(listed) // 2_000]
    assert [text for text in sample if not (is_common(text) and is_common(text.upper()))] == []


@pytest.mark.parametrize(
    "text", ["maverick", "Jonathan", "platinum", "homelesspa", "1g2w3e4r", "zag12wsx", "01012011", "G0dzilla"]
)
def test_what_others_published_as_common_is_refused(text: str) -> None:
    """Passwords from the first 3,000 of two published lists that the composed ones do not cover."""
    assert _code(text) == "password_common"


def test_published_list_is_large_and_without_what_is_refused_anyway() -> None:
    """Twelve thousand more, sorted, each long enough to be chosen, and of none without need."""
    lines = subject.PUBLISHED.read_text("utf-8").splitlines()
    listed = [line for line in lines if not line.startswith("# ")]
    assert len(listed) > 12_000
    assert listed == sorted(set(listed))
    assert all(len(text) >= subject.MIN_LENGTH and is_common(text) for text in listed)


def test_list_is_lower_case_and_composed() -> None:
    """Every entry is written as it is compared: casefolded and NFC."""
    for entries in subject._common_passwords():  # noqa: SLF001
        for entry in entries:
            assert entry == unicodedata.normalize("NFC", entry.casefold())


@given(st.text(max_size=MAX_LENGTH))
def test_normalising_is_one_spelling(text: str) -> None:
    """The composed and the decomposed spelling of a password are the same password."""
    composed = normalised(unicodedata.normalize("NFC", text))
    assert normalised(unicodedata.normalize("NFD", text)) == composed


async def test_hash_verifies_and_only_the_same_text_does(passwords: Passwords) -> None:
    """A password verifies against its own hash, in either Unicode spelling, and nothing else does."""
    stored = await passwords.hash("caf\u00e9-anvil-93")
    assert stored.startswith("$argon2id$")
    assert await passwords.verify(stored, "cafe\u0301-anvil-93")
    assert not await passwords.verify(stored, "cafe-anvil-93")


async def test_nothing_is_cut_off(passwords: Passwords) -> None:
    """Two passwords that differ after their 72nd byte are two passwords (the bcrypt trap; ASVS 6.2.9)."""
    stored = await passwords.hash("x" * 100 + "1")
    assert not await passwords.verify(stored, "x" * 100 + "2")


@pytest.mark.parametrize("stored", [None, "", "not a hash", "$argon2id$v=19$m=8,t=1,p=1$!!!$!!!"])
async def test_no_password_matches_what_is_no_hash(passwords: Passwords, stored: str | None) -> None:
    """An unknown user and a damaged record are opened by nothing."""
    assert not await passwords.verify(stored, GOOD)


async def test_nobody_costs_what_somebody_costs(passwords: Passwords) -> None:
    """The hash that an unknown user's attempt is verified against has the parameters of every new hash."""
    real = extract_parameters(await passwords.hash(GOOD))
    dummy = extract_parameters(passwords._dummy)  # noqa: SLF001 - it shows in nothing but time
    assert dummy == real


def test_parameters_are_no_weaker_than_recommended() -> None:
    """Argon2id with at least 19 MiB and two passes, as OWASP asks at least."""
    used = extract_parameters(Passwords()._dummy)  # noqa: SLF001 - made as every hash is
    assert used.type is Type.ID
    assert used.memory_cost >= 19_456
    assert used.time_cost >= 2


async def test_overlong_password_is_refused_before_hashing() -> None:
    """Two hundred refusals of a megabyte of password cost less CPU than a few hashes do, for whomever."""
    real = Passwords(threads=1)
    stored = await real.hash(GOOD)
    begun = time.process_time()
    for _ in range(100):
        assert not await real.verify(stored, "x" * 1_000_000)
        assert not await real.verify(None, "x" * 1_000_000)
    assert time.process_time() - begun < 0.2
    real.close()


async def test_queue_is_bounded() -> None:
    """More hashes than may run and wait are refused at once as busy; the others are answered."""
    small = Passwords(threads=1, waiting=3, memory_kib=1024, passes=1)
    answers = await asyncio.gather(*(small.verify(None, GOOD) for _ in range(10)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert [fault.code for fault in refused] == ["busy"] * 6
    assert not await small.verify(None, GOOD)
    small.close()


async def test_caller_that_goes_away_keeps_its_place_until_the_thread_is_done() -> None:
    """A cancelled verification holds its place while its thread works, so the bound holds."""
    small = Passwords(threads=1, waiting=0)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(small.verify(None, GOOD))
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(Unavailable):
        await small.verify(None, GOOD)
    # The pool's one thread comes to this only after the hash that nobody waits for any more.
    await asyncio.get_running_loop().run_in_executor(small._pool, lambda: None)  # noqa: SLF001
    assert not await small.verify(None, GOOD)
    small.close()


async def test_other_parameters_are_noticed(passwords: Passwords) -> None:
    """A hash made with other parameters verifies, and is known to be outdated."""
    stored = await Passwords(memory_kib=512, passes=2).hash(GOOD)
    assert passwords.outdated(stored)
    assert await passwords.verify(stored, GOOD)
    assert not passwords.outdated(await passwords.hash(GOOD))
