"""Where webhooks may be: where an upstream may, by https unless private addresses are allowed."""

from __future__ import annotations

from router.errors import BadInput
from router.tenants.branding import parse_url
from router.tenants.upstream_address import check_upstream


async def check_webhook_url(raw: str, *, allow_private: bool) -> str:
    """Read the URL of a webhook. Raises ``BadInput("bad_webhook_url")``.

    Whoever delivers judges the address again that its name leads to by then.
    """
    try:
        url = parse_url(raw, allow_http=allow_private)
        await check_upstream("/".join(url.split("/")[:3]), allow_private=allow_private)
    except BadInput as fault:
        sentence = f"The webhook cannot be there: {fault.sentence}"
        raise BadInput("bad_webhook_url", sentence, field="url") from fault
    return url.partition("#")[0]  # what no server gets to see is not kept
