"""Signatures, held to the example of the Standard Webhooks specification, and secrets, held to themselves."""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.webhooks.signature import OVERLAP, PREFIX, Secret, new_secret


def test_the_specifications_own_example() -> None:
    """The reference libraries' test vector: id, time, body, secret and signature."""
    secret = Secret(b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert secret.told == PREFIX + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@given(st.binary(min_size=24, max_size=64), st.integers(0, 2**33), st.binary())
def test_both_sign_while_they_overlap(former: bytes, at: int, body: bytes) -> None:
    """The new secret first; the former one to the second, and not beyond."""
    secret = Secret(former).rotated(at)
    during, after = secret.sign("whd_1", at + OVERLAP - 1, body), secret.sign("whd_1", at + OVERLAP, body)
    assert during.split()[1:] == [Secret(former).sign("whd_1", at + OVERLAP - 1, body)]
    assert len(after.split()) == 1
    assert after != Secret(former).sign("whd_1", at + OVERLAP, body)


@given(st.binary(min_size=1), st.none() | st.binary(min_size=1), st.integers(0, 2**40))
def test_what_is_dumped_is_loaded(current: bytes, former: bytes | None, until: int) -> None:
    """A secret that was sealed is the same when it is opened, and shows in no repr."""
    secret = Secret(current, former, until)
    assert Secret.load(secret.dump()) == secret
    assert repr(secret) == f"Secret(former_until={until})"


def test_secrets_are_long_and_differ() -> None:
    """256 bits, within the 24 to 64 octets that the specification asks for."""
    one, other = new_secret(), new_secret()
    assert len(one.current) == 32
    assert one != other


@pytest.mark.parametrize("dumped", [b"x", b'{"current": "!", "former": "a", "until": 1}'])
def test_nonsense_is_no_secret(dumped: bytes) -> None:
    """What is not ours is refused as a value, not used as a key."""
    with pytest.raises(ValueError, match=r"."):
        Secret.load(dumped)
