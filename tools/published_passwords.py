"""Write router/identity/published_passwords.txt: common passwords as others have published them.

    python -m pip download --no-deps --dest wheels django==5.2.19 zxcvbn==4.5.0
    python -m tools.published_passwords wheels/*.whl

What is refused anyway (common_passwords.txt, and its disguises) and what is too short to be one is left out.
"""

from __future__ import annotations

import ast
import gzip
import sys
import unicodedata
import zipfile
from typing import TYPE_CHECKING, Final

from router.identity.passwords import MIN_LENGTH, PUBLISHED, is_common

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DJANGO: Final = "django/contrib/auth/common-passwords.txt.gz"
_ZXCVBN: Final = "zxcvbn/frequency_lists.py"
_HEAD: Final = """\
# Common passwords as others have published them, those that common_passwords.txt does not cover. One a line,
# in lower case, of 8 characters or more. Written by tools/published_passwords.py; read by passwords.py.
# From Django 5.2 (the list of Royce Williams) and zxcvbn 4.5 (that of Mark Burnett), made of leaked ones.
# What their licences ask to go with it is in published_passwords.licences.txt.
"""


def main(arguments: Sequence[str]) -> None:
    """Write the list beside the code that reads it."""
    wheels = [zipfile.ZipFile(wheel) for wheel in arguments]
    found = {
        unicodedata.normalize("NFC", password.casefold())
        for wheel in wheels
        for password in _published(wheel)
    }
    PUBLISHED.write_text(_HEAD, "utf-8")  # what it holds is refused by itself
    wanted = (each for each in sorted(found) if len(each) >= MIN_LENGTH and each.isprintable())
    PUBLISHED.write_text(_HEAD + "".join(f"{each}\n" for each in wanted if not is_common(each)), "utf-8")
    PUBLISHED.with_suffix(".licences.txt").write_text("\n\n".join(map(_licence, wheels)), "utf-8")


def _published(wheel: zipfile.ZipFile) -> Iterator[str]:
    for name in wheel.namelist():
        if name == _DJANGO:
            yield from gzip.decompress(wheel.read(name)).decode().splitlines()
        elif name == _ZXCVBN:
            yield from _longest_text(wheel.read(name).decode(), "passwords").split(",")


def _longest_text(source: str, key: str) -> str:
    """Read the text that stands at a key of a module's dictionary, without running the module."""
    for found in ast.walk(ast.parse(source)):
        if isinstance(found, ast.Dict):
            for name, value in zip(found.keys, found.values, strict=True):
                if isinstance(name, ast.Constant) and name.value == key:
                    texts = (str(each.value) for each in ast.walk(value) if isinstance(each, ast.Constant))
                    return max(texts, key=len)
    raise LookupError(key)


def _licence(wheel: zipfile.ZipFile) -> str:
    name = next(name for name in wheel.namelist() if ".dist-info" in name and "LICENSE" in name)
    return f"{name.partition('.dist-info')[0]}\n\n{wheel.read(name).decode().strip()}\n"


if __name__ == "__main__":
    main(sys.argv[1:])
