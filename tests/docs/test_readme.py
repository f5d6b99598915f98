"""The README: the way in to everything else that is written."""

from __future__ import annotations

from pathlib import Path

import router

_ROOT = Path(router.__file__).parents[1]


def test_a_document_is_found_from_the_readme() -> None:
    """Every page of docs/ is in the README's list, or in a page that is."""
    pages = {page.name: page.read_text("utf-8") for page in (_ROOT / "docs").glob("*.md")}
    listed = (_ROOT / "README.md").read_text("utf-8")
    reached = {name for name in pages if f"(docs/{name})" in listed}
    reached |= {name for name in pages for each in reached if f"({name}" in pages[each]}
    assert reached == set(pages)
