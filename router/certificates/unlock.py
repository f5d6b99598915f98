"""PKCS#12 opened in a process of its own, which is given a few seconds, some memory, and nothing else.

What a PKCS#12 file costs to open is told by its head (cost.py), but a second lock may hide behind the first
one, where nobody sees it before the first is open. So whoever takes uploads has them opened here: the file
and its passphrase go into the process by a pipe, what was in it comes back by another, and a process that
takes too long is ended. Run as a program, this module is that process.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import subprocess
import sys
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from router.certificates.bundle import Bundle
from router.certificates.faults import BadBundle, refusal
from router.certificates.material import check_size, is_pkcs12, read_pkcs12
from router.settings import PREFIX

PATIENCE: Final = 10.0
"""Seconds until such a process is ended; a busy machine may take one of them to start it."""

_COMMAND: Final = (sys.executable, "-m", "router.certificates.unlock")
_CPU_SECONDS: Final = 3
_MEMORY: Final = 1 << 30


def parse_apart(
    data: bytes,
    key: bytes | None = None,
    *,
    passphrase: bytes | None = None,
    now: float,
    patience: float = PATIENCE,
) -> Bundle:
    """Judge an upload as ``Bundle.parse`` does, PKCS#12 opened in a process of its own. Blocking.

    Raises ``BadBundle``, as it does; ``passphrase_too_costly`` for what was not open in ``patience`` seconds.
    """
    check_size(data, key)
    opened = [each and _opened(each, passphrase, patience) for each in (data, key)]
    return Bundle.parse(opened[0] or b"", opened[1], passphrase=passphrase, now=now)


def _opened(data: bytes, passphrase: bytes | None, patience: float) -> bytes:
    """Turn PKCS#12 into PEM; everything else stays as it is."""
    if not is_pkcs12(data):
        return data
    asked = {"data": _text(data), "passphrase": _text(passphrase or b"")}
    # Nothing of ours is of use there, the encryption keys least of all.
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    try:
        ran = subprocess.run(  # noqa: S603 - our own program
            _COMMAND,
            input=json.dumps(asked).encode(),
            capture_output=True,
            env=environment,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired as fault:
        raise refusal("passphrase_too_costly") from fault
    if ran.returncode < 0:  # the kernel ended it: SIGXCPU or SIGKILL
        raise refusal("passphrase_too_costly")
    return _pem_of(ran.stdout)


def _pem_of(answer: bytes) -> bytes:
    """Read what the process answered; what is no answer is the end of a parser that met something new."""
    try:
        told = json.loads(answer)
    except ValueError as fault:
        raise refusal("damaged_pkcs12") from fault
    if told.get("refused"):
        raise refusal(told["refused"])
    blocks = [_block("CERTIFICATE", each) for each in told["certificates"]]
    blocks += [_block("PRIVATE KEY", each) for each in told["keys"]]
    if not blocks:
        raise refusal("no_certificate")
    return b"".join(blocks)


def _block(label: str, text: str) -> bytes:
    return f"-----BEGIN {label}-----\n{text}\n-----END {label}-----\n".encode("ascii")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _answer(asked: bytes) -> dict[str, object]:
    """Open what was asked for: what the process does."""
    question = json.loads(asked)
    data, passphrase = (base64.b64decode(question[name]) for name in ("data", "passphrase"))
    try:
        held = read_pkcs12(data, passphrase or None)
    except BadBundle as fault:
        return {"refused": fault.code}
    keys = [key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) for key in held.keys]
    certificates = [each.public_bytes(Encoding.DER) for each in held.certificates]
    return {"certificates": list(map(_text, certificates)), "keys": list(map(_text, keys))}


def main() -> int:
    """Be that process: the question on standard input, the answer on standard output."""
    for limit, most in (
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CORE, 0),  # which would have the key in it
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    sys.stdout.write(json.dumps(_answer(sys.stdin.buffer.read())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
