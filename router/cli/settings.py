"""``tenant-router settings``."""

from __future__ import annotations

import re
from typing import Final

from pydantic import SecretStr

from router.cli.output import AsJson, show_list
from router.settings import PREFIX, Settings, load_settings

_MASK: Final = "********"
# In a URL: what stands between the first colon of the user information and the last @ before the path, and
# what an option named like a secret holds.
_PASSWORD: Final = re.compile(r"(://[^:/?#]*:).*(@)", re.DOTALL)
_SECRET_OPTION: Final = re.compile(r"([?&][^=&]*(?:password|secret|key|token)[^=&]*=)[^&#]*", re.IGNORECASE)


def settings(*, as_json: AsJson = False) -> None:
    """Show every setting, its value, and where it came from; secrets are masked.

    For example:
        ROUTER_PLATFORM_DOMAIN=portal.example.com tenant-router settings
    """
    loaded = load_settings()
    rows = [
        {"setting": f"{PREFIX}{name.upper()}", "value": shown(loaded, name), "from": origin}
        for name, origin in loaded.origins.items()
    ]
    show_list(rows, ("setting", "value", "from"), as_json=as_json, none="")


def shown(loaded: Settings, name: str) -> object:
    """Give one setting's value as it may be shown to anyone."""
    value = getattr(loaded, name)
    if isinstance(value, str) and "://" in value:
        return _SECRET_OPTION.sub(rf"\1{_MASK}", _PASSWORD.sub(rf"\1{_MASK}\2", value))
    if isinstance(value, tuple):
        return [_MASK if isinstance(each, SecretStr) else str(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
