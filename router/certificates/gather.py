"""Files as people choose them, several at once and in any order, put together to be judged as one upload.

PURE. An authority hands out the certificate, the intermediates and perhaps a root as a file each, in PEM or
DER, and the key is a file of one's own; or all is in one PKCS#12 file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from router.certificates.faults import refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

_PEM = b"-----BEGIN "


def gather(pieces: Sequence[bytes]) -> tuple[bytes, bytes | None]:
    """Give the two files that an upload is: what holds certificates, and what else there is.

    Raises ``BadBundle``: ``empty``, or ``unreadable`` for more than that.
    """
    if not pieces or not all(piece.strip() for piece in pieces):
        raise refusal("empty")
    spelled = [_spelled(piece) for piece in pieces]
    texts = [each for each in spelled if _PEM in each]
    others = [each for each in spelled if _PEM not in each]
    whole = [b"\n".join(texts), *others] if texts else others
    if len(whole) > 2:  # noqa: PLR2004 - certificate and key
        raise refusal("unreadable")
    return whole[0], whole[1] if len(whole) > 1 else None


def _spelled(piece: bytes) -> bytes:
    """Spell a certificate in DER, and a text in Notepad's “Unicode”, as PEM; leave the rest as it is."""
    if piece[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return piece.decode("utf-16", "replace").encode("ascii", "replace")
    if _PEM in piece:
        return piece
    try:
        return x509.load_der_x509_certificate(piece).public_bytes(Encoding.PEM)
    except ValueError:
        return piece
