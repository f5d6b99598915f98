"""docs/files.md: what it shows works as it is shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from router.cli.output import Exit
from router.tenants.entry import BrandingEntry, ForwardingEntry, TenantEntry
from tests.cli.conftest import ROOT, bare, shell

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

__all__ = ["bare", "shell"]

DOCUMENT = (ROOT / "docs" / "files.md").read_text("utf-8")


def block(language: str) -> str:
    """The one example in a language."""
    [found] = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    return str(found)


@pytest.fixture
def private(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell of a platform whose upstreams may be private."""
    monkeypatch.setenv("ROUTER_ALLOW_PRIVATE_UPSTREAMS", "true")
    monkeypatch.setenv("ROUTER_DEFAULT_UPSTREAMS", "http://10.0.0.9:80")
    return shell


def test_the_files_are_read(private: Shell) -> None:
    """The entry is applied, the table imported, and both again are nothing to do."""
    (private.folder / "tenants.yaml").write_text(block("yaml"), "utf-8")
    (private.folder / "tenants.csv").write_text(block("csv"), "utf-8")
    assert private("apply", "-f", "tenants.yaml", "--yes").code == Exit.OK
    assert private("apply", "-f", "tenants.yaml", "--check").code == Exit.OK
    assert private("import", "tenants.csv", "--yes").code == Exit.OK
    assert private("import", "tenants.csv", "--check").code == Exit.OK


def test_every_field_is_in_the_document() -> None:
    """And there is no other in an entry."""
    table = DOCUMENT.partition("| field |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([a-z_]+)`", table)) - {"false"}
    sections = (TenantEntry, BrandingEntry, ForwardingEntry)
    assert named == {name for section in sections for name in section.model_fields}
