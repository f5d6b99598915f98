"""Where webhooks may be: as upstreams, and by https alone unless private addresses are allowed."""

from __future__ import annotations

import pytest

from router.errors import BadInput
from router.tenants.webhook_address import check_webhook_url


@pytest.mark.parametrize(
    ("raw", "url"),
    [
        ("https://93.184.215.14/hook?key=1", "https://93.184.215.14/hook?key=1"),
        (" HTTPS://93.184.215.14 ", "https://93.184.215.14/"),
        ("https://93.184.215.14:8443/a#b", "https://93.184.215.14:8443/a"),
    ],
)
async def test_a_public_address_by_https(raw: str, url: str) -> None:
    """It is kept as the router will ask for it: no fragment, which no server gets to see."""
    assert await check_webhook_url(raw, allow_private=False) == url


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "http://93.184.215.14/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.1.2.3/",
        "https://localhost/",
        "https://portal.internal/",
        "https://169.254.169.254/latest/meta-data",
        "https://user@93.184.215.14/",
        "https://93.184.215.14:99999/",
        "unix:/run/hook.sock",
        "file:///etc/passwd",
        "https://93.184.215.14/a b",
    ],
)
async def test_anything_else_is_refused(raw: str) -> None:
    """With one code, and for the field that it stands in."""
    with pytest.raises(BadInput) as caught:
        await check_webhook_url(raw, allow_private=False)
    assert (caught.value.code, caught.value.field) == ("bad_webhook_url", "url")


async def test_private_addresses_are_a_setting() -> None:
    """Where the platform allows them, http will do; a metadata service is never one."""
    assert await check_webhook_url("http://127.0.0.1:9/", allow_private=True) == "http://127.0.0.1:9/"
    with pytest.raises(BadInput):
        await check_webhook_url("http://169.254.169.254/", allow_private=True)
