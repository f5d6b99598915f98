"""Uploads judged as they are taken: the corpus, and PKCS#12 in a process of its own."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from router.certificates import unlock
from router.certificates.faults import REFUSALS, WARNINGS, BadBundle
from router.certificates.unlock import parse_apart
from tests.certificates.maker import NOW
from tests.corpora.uploads import HOSTNAME, PHRASE, UPLOADS, Upload

if TYPE_CHECKING:
    from pathlib import Path

P12 = next(row for row in UPLOADS if row.name == "PKCS#12 with AES")


@pytest.mark.parametrize("upload", [pytest.param(row, id=row.name) for row in UPLOADS])
def test_each_upload_of_the_corpus_gets_its_verdict(upload: Upload) -> None:
    """Refused with its code and a sentence that says what to do, or accepted with what there is to say."""
    code, said = _verdict(upload)
    assert code == upload.refused
    assert {each for each, _ in said} == upload.warned or code
    for _, sentence in said:
        assert sentence.endswith(".")
        assert "{" not in sentence
        assert "PRIVATE KEY-----" not in sentence


def _verdict(upload: Upload) -> tuple[str, list[tuple[str, str]]]:
    """Judge an upload: the code of the refusal, or none, and each code that was told with its sentence."""
    try:
        bundle = parse_apart(upload.data, upload.key, passphrase=upload.passphrase, now=NOW)
    except BadBundle as fault:
        return fault.code, [(fault.code, fault.sentence)]
    code = "" if bundle.covers(HOSTNAME) else "hostname_not_covered"  # which the owner of the upload decides
    return code, [(each.code, each.sentence) for each in bundle.warnings]


def test_the_corpus_is_large_and_shows_every_warning() -> None:
    """Sixty cases at the least; what only a platform with a past can say is shown elsewhere."""
    assert len({row.name for row in UPLOADS}) == len(UPLOADS) >= 60
    assert {code for row in UPLOADS for code in row.warned} == set(WARNINGS) - {"chain_completed"}
    shown_elsewhere = {"unusable"}  # test_context.py
    assert {row.refused for row in UPLOADS} - {"", "hostname_not_covered"} == set(REFUSALS) - shown_elsewhere


def test_what_takes_too_long_is_ended() -> None:
    """The process is given its time and no more."""
    with pytest.raises(BadBundle) as caught:
        parse_apart(P12.data, passphrase=PHRASE, now=NOW, patience=0.001)
    assert caught.value.code == "passphrase_too_costly"


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "passphrase_too_costly"),
        ("raise SystemExit(1)", "damaged_pkcs12"),
        ("print('{}garbage')", "damaged_pkcs12"),
        ('print(\'{"certificates": [], "keys": []}\')', "no_certificate"),
    ],
)
def test_however_the_process_ends_the_upload_is_refused(
    monkeypatch: pytest.MonkeyPatch, program: str, code: str
) -> None:
    """Ended by the kernel, or by a fault of the parser's own: a refusal, never a crash of ours."""
    monkeypatch.setattr(unlock, "_COMMAND", (sys.executable, "-c", program))
    with pytest.raises(BadBundle) as caught:
        parse_apart(P12.data, passphrase=PHRASE, now=NOW)
    assert caught.value.code == code


def test_the_process_gets_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the settings, which hold the encryption keys, nor the pass phrase where others could see it."""
    monkeypatch.setenv("ROUTER_ENCRYPTION_KEYS", "hush hush")
    seen = tmp_path / "seen"
    program = (
        "import json, os, sys; json.dump([dict(os.environ), sys.argv], open(sys.argv[1], 'w')); "
        'print(\'{"refused": "wrong_passphrase"}\')'
    )
    monkeypatch.setattr(unlock, "_COMMAND", (sys.executable, "-c", program, str(seen)))
    with pytest.raises(BadBundle) as caught:
        parse_apart(P12.data, passphrase=PHRASE, now=NOW)
    assert caught.value.code == "wrong_passphrase"
    environment, arguments = json.loads(seen.read_text())
    assert environment["PATH"] == os.environ["PATH"]
    assert "hush hush" not in environment.values()
    assert PHRASE.decode() not in " ".join(arguments)
