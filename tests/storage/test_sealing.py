from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import BadSettings, RouterError, Unavailable
from router.storage.sealing import HEAD_SIZE, Sealer, key_id, key_id_of

_OLD, _NEW = bytes(range(32)), bytes(range(32, 64))


@given(st.binary(max_size=4096), st.text(max_size=40))
def test_what_is_sealed_opens_again(plaintext: bytes, identity: str) -> None:
    """Any octets come back, for the identity they were sealed for."""
    sealer = Sealer([_NEW])
    assert sealer.open(sealer.seal(plaintext, identity=identity), identity=identity) == plaintext


def test_nothing_shows_through() -> None:
    """The plaintext is not in the sealed value, and sealing it twice gives two different ones."""
    sealer = Sealer([_NEW])
    one, two = (sealer.seal(b"-----BEGIN PRIVATE KEY-----", identity="crt_1") for _ in range(2))
    assert b"PRIVATE" not in one
    assert one != two


def test_a_value_moved_to_another_record_does_not_open() -> None:
    """The identity is part of the seal: a tenant's key copied into another row is refused."""
    sealer = Sealer([_NEW])
    with pytest.raises(Unavailable) as refused:
        sealer.open(sealer.seal(b"key", identity="crt_1"), identity="crt_2")
    assert refused.value.code == "sealed_value_damaged"


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_an_altered_value_does_not_open(place: int, change: int) -> None:
    """Whichever octet is altered, it is refused."""
    sealer = Sealer([_NEW])
    sealed = bytearray(sealer.seal(b"key material", identity="crt_1"))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(RouterError):
        sealer.open(bytes(sealed), identity="crt_1")


@given(st.binary(max_size=60))
def test_rubbish_does_not_open(rubbish: bytes) -> None:
    """What was never sealed is refused with a code, whatever it is."""
    with pytest.raises(RouterError):
        Sealer([_NEW]).open(rubbish, identity="crt_1")


def test_rotation() -> None:
    """The new key in front, the old behind: both open, and one sees which values are to be sealed anew."""
    sealed = Sealer([_OLD]).seal(b"key", identity="crt_1")
    both = Sealer([_NEW, _OLD])
    assert both.open(sealed, identity="crt_1") == b"key"
    assert not both.is_current(sealed)
    again = both.seal(b"key", identity="crt_1")
    assert both.is_current(again)
    assert Sealer([_NEW]).open(again, identity="crt_1") == b"key"


def test_a_missing_key_is_said_to_be_missing() -> None:
    """Without the key it was sealed with, the operator is told which record and what to do."""
    sealed = Sealer([_OLD]).seal(b"key", identity="crt_1")
    with pytest.raises(BadSettings) as refused:
        Sealer([_NEW]).open(sealed, identity="crt_1")
    assert refused.value.code == "encryption_key_missing"
    assert "crt_1" in refused.value.sentence


@pytest.mark.parametrize("keys", [[], [b""], [_NEW, b"short"], [bytes(33)]])
def test_keys_of_another_size_are_refused(keys: list[bytes]) -> None:
    """A key is 32 octets, and there is one."""
    with pytest.raises(BadSettings) as refused:
        Sealer(keys)
    assert refused.value.code == "bad_encryption_key"


def test_a_repr_holds_no_key() -> None:
    """Neither keys nor their ids appear in a repr."""
    assert repr(Sealer([_NEW, _OLD])) == "<Sealer of 2 keys>"


def test_a_value_tells_its_key() -> None:
    """Whoever has no key can still tell by its first octets which one it takes."""
    sealed = Sealer([_NEW, _OLD]).seal(b"key", identity="crt_1")
    assert key_id_of(sealed) == key_id_of(sealed[:HEAD_SIZE]) == key_id(_NEW)
    assert key_id(_NEW) != key_id(_OLD)
