"""``tenant-router demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from router.cli.output import AsJson

_DATA_DIR: Final = Path("demo-data")
_CERTS_DIR: Final = Path("certs")
_PORT: Final = Number(gte=1, lte=65535)
_WORKERS: Final = Number(gte=1, lte=64)


def demo(
    *,
    data_dir: Annotated[Path, Parameter(help="The folder for everything the demo makes; kept.")] = _DATA_DIR,
    https_port: Annotated[int, Parameter(validator=_PORT, help="The port that speaks TLS.")] = 8443,
    http_port: Annotated[int, Parameter(validator=_PORT, help="The port that redirects to HTTPS.")] = 8080,
    health_port: Annotated[int, Parameter(validator=_PORT, help="The port of /healthz and /readyz.")] = 8081,
    workers: Annotated[
        int, Parameter(validator=_WORKERS, help="How many worker processes share the ports.")
    ] = 1,
    as_json: AsJson = False,  # noqa: ARG001 - what goes wrong at start is told by main()
) -> int:
    """Serve two demo tenants on this machine alone, with everything around them made on the spot.

    Certificates, database, users and a backend: a second start reuses what is
    in the folder. In a checkout the certificates are dropped into certs/, as
    an operator's would be. The other commands work beside it with
    ROUTER_CONFIG=demo-data/tenant-router.toml.

    For example:
        tenant-router demo --https-port 9443
    """
    from router.demo.demo import Demo, run  # noqa: PLC0415 - --help does without the servers

    certs = _certs_dir(data_dir).resolve()
    return run(Demo(data_dir.resolve(), certs, https_port, http_port, health_port, workers))


def _certs_dir(data_dir: Path) -> Path:
    """The checkout's own certs/ where the demo runs in one as it comes; else a folder with the rest."""
    at_home = data_dir == _DATA_DIR and (_CERTS_DIR / "README.md").is_file()
    return _CERTS_DIR if at_home else data_dir / _CERTS_DIR
