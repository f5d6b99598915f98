from __future__ import annotations

from contextlib import suppress
from itertools import permutations

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from router.certificates.bundle import BadBundle, Bundle
from router.certificates.gather import gather
from tests.certificates.maker import INTERMEDIATE, LEAF, NOW, ROOT

KEY_DER = LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
PHRASE = b"correct horse"
PFX = pkcs12.serialize_key_and_certificates(
    b"leaf",
    LEAF.key,
    LEAF.certificate,
    None,
    BestAvailableEncryption(PHRASE),
)
CHOICES = {
    "all PEM": (LEAF.pem, INTERMEDIATE.pem, LEAF.key_pem),
    "certificates in DER": (LEAF.der, INTERMEDIATE.der, LEAF.key_pem),
    "key in DER": (LEAF.pem, INTERMEDIATE.pem, KEY_DER),
    "all DER": (LEAF.der, INTERMEDIATE.der, KEY_DER),
    "with the root": (LEAF.pem, INTERMEDIATE.pem, ROOT.der, LEAF.key_pem),
    "Notepad's Unicode": (LEAF.pem.decode().encode("utf-16"), INTERMEDIATE.pem, LEAF.key_pem),
    "PKCS#12 and its chain": (PFX, INTERMEDIATE.pem),
    "one file": (LEAF.pem + INTERMEDIATE.pem + LEAF.key_pem,),
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_files_are_put_together_in_any_order(choice: tuple[bytes, ...]) -> None:
    """However they were spelled and in whichever order they were chosen, the chain is the same."""
    for pieces in permutations(choice):
        data, key = gather(pieces)
        bundle = Bundle.parse(data, key, passphrase=PHRASE if PFX in pieces else None, now=NOW)
        assert bundle.chain == (LEAF.certificate, INTERMEDIATE.certificate)


@pytest.mark.parametrize(
    ("pieces", "code"),
    [((), "empty"), ((LEAF.pem, b" \n"), "empty"), ((b"a", b"b", b"c"), "unreadable")],
    ids=["nothing", "an-empty-one", "three-of-no-kind"],
)
def test_what_cannot_be_put_together_is_refused(pieces: tuple[bytes, ...], code: str) -> None:
    """With the codes that a single file would get."""
    with pytest.raises(BadBundle) as caught:
        gather(pieces)
    assert caught.value.code == code


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=4))
def test_nothing_else_is_raised(pieces: list[bytes]) -> None:
    """Whatever the octets are."""
    with suppress(BadBundle):
        gather(pieces)
