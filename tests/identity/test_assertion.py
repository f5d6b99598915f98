from __future__ import annotations

import timeit
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from joserfc import jwk, jwt
from joserfc.errors import BadSignatureError

from router.identity.assertion import LIFE, REUSED_FOR, Assertions
from router.identity.signing_keys import ROTATED_EVERY, SigningKeys
from router.storage.changes import ChangeFeed, PollBell
from router.storage.sealing import Sealer
from tests.identity.test_session import SESSION

if TYPE_CHECKING:
    from router.storage.database import Database
    from tests.clock import Clock

ISSUER = "https://portal.example"
UPSTREAM = "http://10.0.0.5:9000"
HOST = "mycompany.portal.example"


@pytest.fixture
async def keys(database: Database, clock: Clock) -> SigningKeys:
    """Make the platform's signing keys."""
    bell = PollBell()
    made = SigningKeys(database, Sealer([bytes(32)]), bell, ChangeFeed(database, bell), clock=clock)
    await made.ensure(clock())
    return made


@pytest.fixture
def assertions(keys: SigningKeys) -> Assertions:
    """Make assertions as a worker does."""
    return Assertions(keys, ISSUER)


def _verified(token: str, keys: SigningKeys) -> jwt.Token:
    return jwt.decode(token, jwk.KeySet.import_key_set(keys.jwks()), algorithms=["ES256"])  # type: ignore[arg-type]


def test_assertion_says_who_is_asking(assertions: Assertions, keys: SigningKeys, clock: Clock) -> None:
    """Another implementation verifies the signature, and finds exactly the claims that are promised."""
    token = _verified(assertions.find(SESSION, "tnt_1", UPSTREAM, HOST, clock()), keys)
    now = int(clock())
    assert token.header == {"alg": "ES256", "kid": keys.current(clock()).id, "typ": "JWT"}
    assert token.claims == {
        "iss": ISSUER,
        "aud": UPSTREAM,
        "sub": SESSION.user_id,
        "email": SESSION.email,
        "tenant": "tnt_1",
        "customer": SESSION.customer,
        "host": HOST,
        "sid": SESSION.id,
        "iat": now,
        "nbf": now,
        "exp": now + LIFE,
        "auth_time": SESSION.signed_in_at,
    }
    assert SESSION.key not in str(token.claims)


def test_assertion_is_header_safe(assertions: Assertions, keys: SigningKeys, clock: Clock) -> None:
    """Whatever is in a claim, the assertion is plain ASCII and the claim arrives as it was."""
    odd = replace(SESSION, customer='C"\\ü\r\n🦜')
    token = assertions.find(odd, "tnt_1", UPSTREAM, HOST, clock())
    assert token.isascii()
    assert token.isprintable()
    assert _verified(token, keys).claims["customer"] == odd.customer


@pytest.mark.parametrize("part", [0, 1, 2])
def test_altered_assertion_does_not_verify(
    assertions: Assertions, keys: SigningKeys, clock: Clock, part: int
) -> None:
    """An assertion with the header, the claims or the signature of another one is worth nothing."""
    parts = assertions.find(SESSION, "tnt_1", UPSTREAM, HOST, clock()).split(".")
    later = clock() + ROTATED_EVERY
    parts[part] = assertions.sign(SESSION, "tnt_2", audience=UPSTREAM, host=HOST, now=later).split(".")[part]
    with pytest.raises(BadSignatureError):
        _verified(".".join(parts), keys)


def test_same_assertion_is_sent_for_a_while(assertions: Assertions, clock: Clock) -> None:
    """An assertion is reused for 20 seconds and then signed anew, so that 40 are always left."""
    now = clock()
    first = assertions.find(SESSION, "tnt_1", UPSTREAM, HOST, now)
    assert assertions.find(SESSION, "tnt_1", UPSTREAM, HOST, now + REUSED_FOR - 0.1) == first
    assert assertions.find(SESSION, "tnt_1", UPSTREAM, HOST, now + REUSED_FOR) != first


def test_assertions_are_never_mixed_up(assertions: Assertions, keys: SigningKeys, clock: Clock) -> None:
    """Another session, upstream or host gets another assertion, remembered apart from the first."""
    cases = [
        (session, audience, host)
        for session in (SESSION, replace(SESSION, key="other", id="ses_2"))
        for audience in (UPSTREAM, "https://other.example")
        for host in (HOST, "billing.mycompany.test")
    ]
    for _ in range(2):
        for session, audience, host in cases:
            claims = _verified(assertions.find(session, "tnt_1", audience, host, clock()), keys).claims
            assert (claims["sid"], claims["aud"], claims["host"]) == (session.id, audience, host)


def test_memory_is_bounded(keys: SigningKeys, clock: Clock) -> None:
    """However many sessions there are, only so many assertions are remembered, the newest."""
    small = Assertions(keys, ISSUER, capacity=3)
    tokens = [small.find(replace(SESSION, key=str(n)), "tnt_1", UPSTREAM, HOST, clock()) for n in range(10)]
    assert repr(small) == f"Assertions(issuer={ISSUER!r}, remembered=3)"
    again = [
        small.find(replace(SESSION, key=str(n)), "tnt_1", UPSTREAM, HOST, clock() + 1) for n in (9, 8, 7)
    ]
    assert again == [tokens[9], tokens[8], tokens[7]]


async def test_keys_change_without_a_gap(assertions: Assertions, keys: SigningKeys, clock: Clock) -> None:
    """Across a rotation, an assertion signed a moment before and one a moment after both verify."""
    clock.now += ROTATED_EVERY - 1
    before = assertions.find(SESSION, "tnt_1", UPSTREAM, HOST, clock())
    clock.now += 1
    after = assertions.sign(SESSION, "tnt_1", audience=UPSTREAM, host=HOST, now=clock())
    kids = [_verified(token, keys).header["kid"] for token in (before, after)]
    assert kids[0] != kids[1]
    await keys.ensure(clock())
    for token in (before, after):
        _verified(token, keys)


def test_remembered_assertion_costs_next_to_nothing(assertions: Assertions, clock: Clock) -> None:
    """Finding a remembered assertion is far cheaper than signing one: the edge does it for each visit."""
    now = clock()
    found = min(
        timeit.repeat(lambda: assertions.find(SESSION, "tnt_1", UPSTREAM, HOST, now), number=1000, repeat=5)
    )
    signed = min(
        timeit.repeat(
            lambda: assertions.sign(SESSION, "tnt_1", audience=UPSTREAM, host=HOST, now=now),
            number=1000,
            repeat=5,
        )
    )
    assert found * 5 < signed
