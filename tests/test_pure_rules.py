"""Which files are PURE: what their docstrings say and what import-linter is told are the same."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import router

_ROOT = Path(router.__file__).parents[1]


def _saying_so() -> set[str]:
    files = _ROOT.glob("router/**/*.py")
    docstrings = {file: ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "" for file in files}
    return {
        ".".join(file.relative_to(_ROOT).with_suffix("").parts)
        for file, docstring in docstrings.items()
        if re.search(r"^PURE\b", docstring, re.MULTILINE)
    }


def test_who_says_to_be_pure_is_held_to_it() -> None:
    """A file that promises to do no I/O is checked for that, and one that is checked tells its readers."""
    tool = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    [contract] = [each for each in tool["importlinter"]["contracts"] if each["type"] == "forbidden"]
    assert _saying_so() == set(contract["source_modules"])
