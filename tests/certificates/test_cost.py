from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.certificates.bundle import BadBundle, Bundle
from router.certificates.cost import MAX_ROUNDS, MAX_SCRYPT, Cost, cost_of
from tests.certificates.maker import LEAF, NOW

SALT = b"\x04\x08saltsalt"


def element(tag: int, *content: bytes) -> bytes:
    """Write one DER element."""
    value = b"".join(content)
    size = len(value)
    if size < 0x80:
        return bytes([tag, size]) + value
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(octets)]) + octets + value


def sequence(*content: bytes) -> bytes:
    """Write a SEQUENCE."""
    return element(0x30, *content)


def integer(number: int) -> bytes:
    """Write an INTEGER."""
    return element(0x02, number.to_bytes(number.bit_length() // 8 + 1))


def protected_key(*counts: int) -> bytes:
    """Write an EncryptedPrivateKeyInfo with PBES2 and PBKDF2 (RFC 8018 appendix A)."""
    pbes2, pbkdf2, aes = (
        bytes.fromhex(oid)
        for oid in ("06092a864886f70d01050d", "06092a864886f70d01050c", "060960864801650304012a")
    )
    derivation = sequence(pbkdf2, sequence(SALT, *map(integer, counts)))
    encryption = sequence(aes, element(0x04, b"i" * 16))
    return sequence(sequence(pbes2, sequence(derivation, encryption)), element(0x04, b"c" * 160))


def test_usual_protection_is_granted() -> None:
    """What OpenSSL writes, and what careful tools write, is not too much."""
    for counts in [(2048,), (600_000,), (MAX_ROUNDS,), (600_000, 32), (16_384, 8, 1)]:
        assert cost_of(protected_key(*counts)) is Cost.FAIR
    assert MAX_SCRYPT >= 16_384 * 8 * 1


@pytest.mark.parametrize(
    "counts", [(2**31 - 1,), (MAX_ROUNDS + 1, 32), (2**20, 8, 1), (2, 8, 2**20), (2**200,)]
)
def test_endless_protection_is_not_granted(counts: tuple[int, ...]) -> None:
    """Rounds without measure are recognised, for PBKDF2 and for scrypt."""
    assert cost_of(protected_key(*counts)) is Cost.DEAR


def test_counts_hidden_in_octet_strings_are_found() -> None:
    """PKCS#12 nests its parts in OCTET STRINGs; a MAC has its salt and its rounds at the end."""
    nested = protected_key(2**31 - 1)
    for _ in range(4):
        nested = sequence(integer(3), element(0xA0, element(0x04, nested)))
    assert cost_of(nested) is Cost.DEAR
    mac = sequence(sequence(b"\x05\x00"), SALT, integer(2**31 - 1))
    assert cost_of(sequence(integer(3), mac)) is Cost.DEAR
    assert cost_of(sequence(element(0x04, nested, b"rest"))) is Cost.DEAR


def test_an_upload_that_asks_for_too_much_is_refused_at_once() -> None:
    """The passphrase is not tried: two thousand million rounds would take minutes."""
    started = time.process_time()
    with pytest.raises(BadBundle) as caught:
        Bundle.parse(LEAF.pem, protected_key(2**31 - 1), passphrase=b"secret", now=NOW)
    assert caught.value.code == "passphrase_too_costly"
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "hidden",
    [
        b"\x30\x80" + protected_key(2**31 - 1) + b"\x00\x00",
        sequence(element(0x04, b"\x30\x80" + protected_key(2**31 - 1) + b"\x00\x00")),
        sequence(element(0x04, b"\x24\x80" + element(0x04, protected_key(2**31 - 1)) + b"\x00\x00")),
        protected_key(2048)[:-1],
    ],
)
def test_what_is_not_der_is_not_tried(hidden: bytes) -> None:
    """Indefinite lengths, which OpenSSL would read all the same, hide no count; nor do lengths that lie."""
    assert cost_of(hidden) is Cost.UNTOLD


def test_lengths_in_long_spellings_hide_nothing() -> None:
    """OpenSSL reads lengths with leading zeros, so they are read here."""
    dear = protected_key(2**31 - 1)
    assert dear[1] == 0x81
    assert cost_of(b"\x30\x87" + bytes(6) + dear[2:]) is Cost.DEAR


def test_random_ciphertext_is_fair() -> None:
    """What is encrypted reads as nothing in particular."""
    randomness = random.Random(1)  # noqa: S311 - repeatable, and no secret
    for _ in range(200):
        assert cost_of(sequence(SALT, element(0x04, randomness.randbytes(3000)))) is Cost.FAIR


@given(st.binary(max_size=300))
def test_arbitrary_bytes_have_a_price(data: bytes) -> None:
    """Whatever the bytes, there is an answer."""
    assert cost_of(data) in Cost
