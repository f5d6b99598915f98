"""The billing system of docs/backend.md, executed as it stands there; and its tables, held to the code."""

from __future__ import annotations

import asyncio
import re
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest

from router.console.api.invoice_lines import InvoiceLine, InvoiceLineQuestion
from router.console.application import MAX_BODY
from router.console.budgets import CALLS
from router.identity.invoice_links import LIFE, RENEWED

if TYPE_CHECKING:
    from tests.console.stand import Stand

PAGE = (Path(__file__).parents[2] / "docs" / "backend.md").read_text("utf-8")

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def example(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Be a billing system that does what the page says."""
    monkeypatch.setenv("PORTAL_API", f"{stand.url}/api/v1")
    monkeypatch.setenv("PORTAL_TOKEN", stand.token)
    [_, source] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    made: dict[str, Any] = {}
    exec(source, made)  # noqa: S102 - executing it is the test
    return made


@ON_SQLITE
async def test_the_example_puts_the_line_on_an_invoice(stand: Stand, example: dict[str, Any]) -> None:
    """Both forms of the e-mail end with it, umlauts and all."""
    line = await asyncio.to_thread(example["invoice_line"], "acme", "C-1001", "de")
    invoice = EmailMessage()
    invoice.set_content("Ihre Rechnung\n")
    invoice.add_alternative("<html><body><p>Ihre Rechnung</p></body></html>", subtype="html")
    example["add_line"](invoice, line)
    text, html = (invoice.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert text.get_content().startswith("Ihre Rechnung\n\nIhre Rechnungen finden Sie")
    assert line["registration_url"] in text.get_content()
    assert html.get_content().rstrip().endswith("</p></body></html>")
    assert line["registration_url"] in html.get_content()


@ON_SQLITE
async def test_the_example_hears_of_a_refusal(stand: Stand, example: dict[str, Any]) -> None:
    """Somebody else's tenant is an error, not an empty line."""
    with pytest.raises(HTTPError) as fault:
        await asyncio.to_thread(example["invoice_line"], "globex", "C-1001")
    with fault.value as answer:
        assert answer.code == 404


def test_the_tables_are_those_of_the_code() -> None:
    """The page names each field that is asked and answered, and no other; and the numbers are the code's."""
    section = PAGE.partition("### What is asked and answered")[2].partition("\n### ")[0]
    tables = re.findall(r"\| field \| meaning \|\n\| --- \| --- \|\n((?:\|.*\n)+)", section)
    asked, answered = (set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) for table in tables)
    assert asked == set(InvoiceLineQuestion.model_fields)
    assert answered == set(InvoiceLine.model_fields)
    assert f"Links live for {LIFE // 86_400} days" in section
    assert RENEWED == 30 * 86_400
    assert f"{MAX_BODY // 1024} KiB at most" in PAGE
    assert f"more than {CALLS.limit} calls a minute" in PAGE
