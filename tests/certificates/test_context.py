from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from router.certificates.bundle import BadBundle, Bundle
from router.certificates.context import build_context
from tests.certificates.maker import INTERMEDIATE, LEAF, NOW, Made, make
from tests.certificates.tls import client_context, serving, shake

RSA = make("www.example.com", issuer=INTERMEDIATE, kind="rsa2048")
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def bundle_of(made: Made) -> Bundle:
    """Judge a certificate of the tests with its intermediate."""
    return Bundle.parse(made.pem + INTERMEDIATE.pem, made.key_pem, now=NOW)


def context_of(*several: Made) -> ssl.SSLContext:
    """Build the context that serves these."""
    first, *beside = [(bundle.chain_pem, bundle.key_der) for bundle in map(bundle_of, several)]
    return build_context(*first, *beside)


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_client_that_trusts_the_root_is_served_the_whole_chain(version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3 succeed with nothing but the root on the client's side, and speak HTTP/1.1."""
    with serving(context_of(LEAF)) as address:
        seen = shake(address, "www.example.com", client_context(version))
    assert seen.leaf == LEAF.certificate
    assert seen.protocol == "http/1.1"


def test_old_versions_of_tls_are_refused() -> None:
    """TLS 1.1 gets an alert."""
    client = client_context()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("ALL:@SECLEVEL=0")
    with serving(context_of(LEAF)) as address, pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        shake(address, "www.example.com", client)


def test_the_modern_profile_is_tls_1_3_alone() -> None:
    """A client that knows no TLS 1.3 gets an alert; one that does is served."""
    bundle = bundle_of(LEAF)
    modern = build_context(bundle.chain_pem, bundle.key_der, profile="modern")
    with serving(modern) as address:
        assert shake(address, "www.example.com", client_context()).version == "TLSv1.3"
        with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
            shake(address, "www.example.com", client_context(TLS12))


def test_ciphers_have_forward_secrecy_and_authentication() -> None:
    """A client that offers CBC or plain RSA key exchange alone is refused."""
    client = client_context(TLS12, "AES128-SHA:AES256-GCM-SHA384:ECDHE-RSA-AES128-SHA")
    with serving(context_of(RSA)) as address, pytest.raises((ssl.SSLError, ConnectionError)):
        shake(address, "www.example.com", client)


def test_renegotiation_is_off() -> None:
    """A client may not ask for a second handshake on a connection."""
    assert context_of(LEAF).options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("order", [(LEAF, RSA), (RSA, LEAF)])
def test_ecdsa_is_preferred_where_both_are_there(order: tuple[Made, Made], version: ssl.TLSVersion) -> None:
    """Of two certificates a client that takes both gets ECDSA, whatever it would like better itself."""
    with serving(context_of(*order)) as address:
        client = client_context(version, "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
        assert shake(address, "www.example.com", client).leaf == LEAF.certificate


def test_rsa_serves_those_who_know_nothing_else() -> None:
    """A client without ECDSA gets the RSA certificate of the same context."""
    with serving(context_of(LEAF, RSA)) as address:
        client = client_context(TLS12, "ECDHE-RSA-AES128-GCM-SHA256")
        assert shake(address, "www.example.com", client).leaf == RSA.certificate


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_session_is_resumed_in_its_own_context_only(version: ssl.TLSVersion) -> None:
    """A ticket of one context is worth nothing in another, even for the same certificate."""
    client = client_context(version)
    with serving(context_of(LEAF)) as one, serving(context_of(LEAF)) as other:
        session = shake(one, "www.example.com", client).session
        assert shake(one, "www.example.com", client, session).reused
        assert not shake(other, "www.example.com", client, session).reused


def test_what_openssl_does_not_load_is_refused() -> None:
    """A build is the proof: a key of another certificate, or no certificate at all, does not pass."""
    bundle, other = bundle_of(LEAF), bundle_of(RSA)
    for chain, key in [(bundle.chain_pem, other.key_der), ("", bundle.key_der), (bundle.chain_pem, b"junk")]:
        with pytest.raises(BadBundle) as caught:
            build_context(chain, key)
        assert caught.value.code == "unusable"


def test_the_key_leaves_nothing_behind() -> None:
    """No descriptor stays open after a build, whether it worked or not."""

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the count is all that is asked

    bundle, before = bundle_of(LEAF), descriptors()
    build_context(bundle.chain_pem, bundle.key_der)
    with pytest.raises(BadBundle):
        build_context("", bundle.key_der)
    assert descriptors() == before
    assert not list(Path.cwd().glob("certificate*"))
