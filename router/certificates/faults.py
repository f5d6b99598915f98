"""What can be wrong with an upload (refused) or merely unwise (served, with a warning): one table each.

PURE. Codes are stable; the sentences tell somebody who is no cryptographer what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from router.errors import BadInput

REFUSALS: Final = {
    # what was sent
    "too_large": "The files are larger than 256 KiB, which no certificate with its chain and key is: "
    "upload the certificate and the key only.",
    "empty": "A file is empty: upload the certificate with its chain, and the private key.",
    "unreadable": "This cannot be read as a certificate (PEM, DER or PKCS#12), or it is damaged: "
    "copy the file again, unchanged.",
    "truncated": "The file is cut off: copy it again, to its last line.",
    "damaged_pkcs12": "The PKCS#12 file is cut off, or written by an old program: export it again (openssl "
    "pkcs12 -in OLD -nodes | openssl pkcs12 -export -out NEW).",
    "files_swapped": "The two files are the wrong way round: the certificate comes first, then the key.",
    "request_uploaded": "This is a certificate request (CSR): send it to your certificate authority and "
    "upload the certificate that comes back.",
    "no_certificate": "There is no certificate in the upload: add the file your authority sent you.",
    "too_many_certificates": "There are more than 20 certificates in the upload: keep your own and its "
    "intermediates.",
    "several_leaves": "There are several certificates of websites in the upload: keep the one to be served, "
    "and its intermediates.",
    # the key
    "no_private_key": "The private key is missing: add the key file that was made with the certificate "
    "request.",
    "public_key_uploaded": "This is the public key: upload the private key, whose file says “BEGIN PRIVATE "
    "KEY” (or “BEGIN RSA” or “EC PRIVATE KEY”).",
    "ssh_key_uploaded": "This is a key for SSH: upload the key that was made with the certificate request.",
    "several_keys": "There are several private keys in the upload: keep the one of the certificate.",
    "passphrase_needed": "The private key is protected: give its passphrase along with it.",
    "wrong_passphrase": "The passphrase does not open the private key: check it and try again.",
    "passphrase_too_costly": "The protection of this key takes too long to open: save the key again with "
    "the usual settings.",
    "unreadable_key": "The private key is damaged or cut off: copy its file again, unchanged.",
    "key_mismatch": "The private key does not belong to the certificate: use the key that was made with "
    "the request for it.",
    "unsupported_key": "Keys of this kind cannot be served: use ECDSA P-256 or RSA with 2048 bits.",
    "weak_key": "A key in the chain is too short to be safe ({bits} bits): use ECDSA P-256 or RSA with "
    "2048 bits.",
    "key_too_large": "The key is so long that it would slow every visit: use ECDSA P-256 or RSA with 2048 "
    "bits (4096 at most).",
    # the certificate
    "expired": "The certificate expired on {date}: have it renewed and upload the new one.",
    "not_yet_valid": "The certificate is not valid before {date}: upload it then.",
    "precertificate": "This is a precertificate, made for public logs only: upload the certificate itself.",
    "authority_certificate": "This is the certificate of an authority (CA), not of a website: upload the one "
    "issued for your hostname.",
    "not_for_servers": "The certificate is not meant for web servers: request one for TLS server "
    "authentication.",
    "not_for_signatures": "The certificate does not allow digital signatures, which TLS needs: have it "
    "issued again.",
    "weak_signature": "The certificate or one above it is signed with SHA-1 or MD5, which browsers refuse: "
    "have it issued again.",
    "unsupported_signature": "The certificate is signed in a way that browsers do not know: have it issued "
    "again.",
    "unusable": "The certificate looks right, but OpenSSL cannot serve it: have it issued again.",
    # its names
    "no_alternative_names": "The certificate carries its name only as a “common name”, which browsers "
    "ignore: have it issued again with subject alternative names.",
    "bad_name": "A name in the certificate has characters that no hostname has: have it issued again.",
    "wildcard_too_wide": "“{name}” would stand for other people's domains as well: have it issued for "
    "your own domain.",
    "too_many_names": "The certificate has more than 500 names: split it into several.",
    "no_usable_name": "There is no hostname in the certificate: have it issued for the portal's hostname.",
}

WARNINGS: Final = {
    "expires_soon": "The certificate expires in {days} days: renew it now.",
    "missing_intermediate": "The intermediate certificate is missing, so some programs will not trust the "
    "portal: add the chain file your authority offers.",
    "chain_completed": "The intermediate certificate was missing; it was added from an earlier upload. Next "
    "time, add the chain file your authority offers.",
    "self_signed": "The certificate is signed by itself: browsers will warn their users. Have one issued by "
    "a public authority.",
    "ed25519": "Browsers do not accept Ed25519 certificates yet: use ECDSA P-256.",
    "p521": "Chrome does not accept P-521 certificates: use ECDSA P-256.",
    "must_staple": "The certificate demands OCSP stapling, which is not done here, so Firefox may refuse it: "
    "have it issued without.",
    "valid_too_long": "Apple's devices refuse certificates that are valid for more than 825 days: have it "
    "issued for a shorter time.",
    "name_ignored": "“{name}” is in the certificate but is no hostname: it will not be used.",
}


class BadBundle(BadInput):
    """The upload is refused and nothing was changed. The sentence never holds key material."""


@dataclass(frozen=True, slots=True)
class BundleWarning:
    """Something about an accepted certificate that its owner should know."""

    code: str
    sentence: str


def refusal(code: str, **facts: object) -> BadBundle:
    """Make the refusal with this code, its sentence completed with ``facts``."""
    return BadBundle(code, REFUSALS[code].format_map(facts))


def warning(code: str, **facts: object) -> BundleWarning:
    """Make the warning with this code, its sentence completed with ``facts``."""
    return BundleWarning(code, WARNINGS[code].format_map(facts))
