"""The recipe of docs/webhooks.md, executed as it stands there, on what the router sends; and its tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from router.storage.events import EventKind
from router.webhooks.schedule import PAUSES
from router.webhooks.signature import Secret, new_secret

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
NOW = 1_795_300_000
BODY = '{"type":"domain.active","data":{"tenant":"acme","name":"Söhne"}}'.encode()


@pytest.fixture(scope="module")
def recipe() -> Any:  # noqa: ANN401 - what the page defines
    """The function that the page defines."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own page
    return names["is_genuine"]


def _sent(secret: Secret) -> dict[str, str]:
    signature = secret.sign("whd_1", NOW, BODY)
    return {"webhook-id": "whd_1", "webhook-timestamp": str(NOW), "webhook-signature": signature}


def test_what_the_router_sends_is_genuine(recipe: Any) -> None:  # noqa: ANN401 - see recipe
    """Also while two secrets sign, by either of them; and for a clock that is a little off."""
    secret = new_secret()
    assert recipe(secret.told, _sent(secret), BODY, NOW)
    assert recipe(secret.told, _sent(secret), BODY, NOW + 299)
    both = secret.rotated(NOW)
    assert recipe(secret.told, _sent(both), BODY, NOW)
    assert recipe(both.told, _sent(both), BODY, NOW)


@pytest.mark.parametrize(
    "altered",
    [
        {"webhook-id": "whd_2"},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "١٧٩٥٣٠٠٠٠٠"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v2,AAAA é"},
    ],
    ids=str,
)
def test_nothing_else_is(recipe: Any, altered: dict[str, str]) -> None:  # noqa: ANN401 - see recipe
    """Whatever is altered of it, or sent by somebody who does not know the secret."""
    secret = new_secret()
    assert not recipe(secret.told, _sent(secret) | altered, BODY, NOW)


def test_nor_is_what_was_heard_before_or_forged(recipe: Any) -> None:  # noqa: ANN401 - see recipe
    """Another body, another secret, and a delivery that somebody kept for later."""
    secret = new_secret()
    assert not recipe(secret.told, _sent(secret), BODY + b" ", NOW)
    assert not recipe(new_secret().told, _sent(secret), BODY, NOW)
    assert not recipe(secret.told, _sent(secret), BODY, NOW + 301)
    assert not recipe(secret.told, {}, BODY, NOW)


def test_the_page_names_every_event() -> None:
    """Each kind has its row, and no other one."""
    rows = re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", PAGE, re.MULTILINE)
    assert rows == [kind.value for kind in EventKind]


def test_the_page_tells_the_pauses() -> None:
    """As the schedule has them."""
    assert "5 seconds, 5 and 30 minutes, 2, 5, 8 and 8 hours" in PAGE
    assert PAUSES == (5, 300, 1800, 7200, 18_000, 28_800, 28_800)
