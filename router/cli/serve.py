"""``tenant-router serve``."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from router.cli.output import AsJson
from router.settings import load_settings


def serve(
    *,
    bind: Annotated[str | None, Parameter(help="The address to listen on.")] = None,
    https_port: Annotated[int | None, Parameter(help="The port that speaks TLS.")] = None,
    http_port: Annotated[int | None, Parameter(help="The port that redirects to HTTPS.")] = None,
    health_port: Annotated[int | None, Parameter(help="The port of /healthz and /readyz.")] = None,
    admin_port: Annotated[int | None, Parameter(help="A port of the console's own.")] = None,
    workers: Annotated[int | None, Parameter(help="How many worker processes share the ports.")] = None,
    as_json: AsJson = False,  # noqa: ARG001 - what goes wrong at start is told by main()
) -> int:
    """Serve until SIGTERM, with the settings in force; an option is stronger than the environment.

    The database is migrated first. SIGHUP replaces the workers one by one.

    For example:
        ROUTER_PLATFORM_DOMAIN=portal.example.com tenant-router serve --workers 2
    """
    from router import supervisor  # noqa: PLC0415 - --help does without it

    given = {
        "bind": bind,
        "https_port": https_port,
        "http_port": http_port,
        "health_port": health_port,
        "admin_port": admin_port,
        "workers": workers,
    }
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return supervisor.run(load_settings(**overrides), overrides)
