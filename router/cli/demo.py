"""``tenant-router demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from router.cli.output import AsJson


def demo(
    *,
    data_dir: Annotated[Path, Parameter(help="The folder for everything the demo makes; kept.")] = Path(
        "demo-data"
    ),
    https_port: Annotated[int, Parameter(help="The port that speaks TLS.")] = 8443,
    http_port: Annotated[int, Parameter(help="The port that redirects to HTTPS.")] = 8080,
    health_port: Annotated[int, Parameter(help="The port of /healthz and /readyz.")] = 8081,
    workers: Annotated[int, Parameter(help="How many worker processes share the ports.")] = 1,
    as_json: AsJson = False,  # noqa: ARG001 - what goes wrong at start is told by main()
) -> int:
    """Serve two demo tenants on this machine alone, with everything around them made on the spot.

    Certificates, database, users and a backend: a second start reuses what is in the folder. The other
    commands work beside it with ROUTER_CONFIG=demo-data/tenant-router.toml.

    For example:
        tenant-router demo --https-port 9443
    """
    from router.demo.demo import Demo, run  # noqa: PLC0415 - --help does without the servers

    return run(Demo(data_dir.resolve(), https_port, http_port, health_port, workers))
