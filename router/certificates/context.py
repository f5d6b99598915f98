"""TLS contexts: a chain and its key, ready for handshakes, with the key never on the disk.

The settings are Mozilla's “intermediate” or “modern” ones (guideline 5.7): TLS 1.2 with AEAD ciphers and
forward secrecy beside TLS 1.3, or TLS 1.3 alone. What Python has no call for, the curves, is in openssl.cnf,
which the supervisor gives to the workers. A context makes ticket keys of its own and keeps its sessions to
itself, so a TLS session is resumed in the context it began in and nowhere else. The keyring makes one for
each tenant, and relies on that.
"""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from router.certificates.faults import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

TlsProfile = Literal["intermediate", "modern"]
"""Which clients are served: those of the last ten years, or those that know TLS 1.3."""

_OLDEST: Final = {"intermediate": ssl.TLSVersion.TLSv1_2, "modern": ssl.TLSVersion.TLSv1_3}
_CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)


def build_context(
    chain_pem: str, key_der: bytes, *beside: tuple[str, bytes], profile: TlsProfile = "intermediate"
) -> ssl.SSLContext:
    """Build what a handshake needs, from a PEM chain (leaf first) and its PKCS#8 key.

    ``beside`` are chains and keys of other kinds (RSA beside ECDSA) for the same names: each client gets the
    one it understands, ECDSA where it understands both. Takes 1 to 2 ms: call it in a thread. Raises
    ``BadBundle("unusable")`` for what OpenSSL does not load, so building one is the proof of an upload.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _OLDEST[profile]
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.options |= (
        ssl.OP_CIPHER_SERVER_PREFERENCE
    )  # or a client's order would decide between RSA and ECDSA
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        for chain, key in ((chain_pem, key_der), *beside):
            _load(context, chain, key)
    except (ssl.SSLError, ValueError) as fault:
        raise refusal("unusable") from fault
    return context


def _load(context: ssl.SSLContext, chain_pem: str, key_der: bytes) -> None:
    key = load_der_private_key(key_der, None)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with _in_memory(chain_pem.encode("ascii") + text) as path:
        context.load_cert_chain(path, password=_no_passphrase)


def _no_passphrase() -> bytes:
    # Without this OpenSSL would ask for a passphrase at the terminal and wait.
    raise ValueError("the key is protected by a passphrase")


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """Lend a path to ``content`` that leads to memory, because OpenSSL loads from paths only."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
