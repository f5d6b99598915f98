"""The stage: all that is the same for every peer of a run."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import trustme
from processes import BenchError, Process, free_port, started

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PLATFORM_DOMAIN = "portal.bench.test"
SLUG = "acme"
HOSTNAME = f"{SLUG}.{PLATFORM_DOMAIN}"
SESSION_COOKIE = "__Host-portal-session"
EMAIL = "pat@customer.example"
BODY_BYTES = 1024
IDLE_SECONDS = 300  # how long everyone keeps a connection that is not used: opening thousands takes a while
WHO_AM_I = "/who-am-i"  # the upstream's page that repeats the identity it was told

# What Chromium sends when a person follows a link; Host, Connection and Cookie are the load generator's.
BROWSER_HEADERS = {
    "sec-ch-ua": '"Chromium";v="142", "Not_A Brand";v="99"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
        " (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
    ),
    "Accept": (
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
    ),
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-User": "?1",
    "Sec-Fetch-Dest": "document",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9",
}


@dataclass(frozen=True, slots=True)
class Cores:
    """Which CPU core does what: the proxy has one to itself wherever there are two."""

    proxy: int
    backstage: int
    load: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Folder, cores, certificate, the ports of the upstreams and of the auth service.

    ``upstream_port`` is the one for the peers to forward to.
    ``token`` is the session cookie's value that the auth service knows; the router hands out its own, of the
    same length. What is started on the stage ends when ``stack`` unwinds.
    """

    folder: Path
    cores: Cores
    stack: ExitStack
    token: str
    certificate: Path
    key: Path
    authority: Path
    upstream_port: int
    streams_port: int
    auth_port: int

    @contextmanager
    def scene(self, upstream_port: int) -> Iterator[Stage]:
        """Lend a stage of the same set-up with a folder of its own, whose peers end with it."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.folder)))
            yield replace(self, folder=folder, stack=stack, upstream_port=upstream_port)

    def start(
        self, name: str, command: Sequence[str], *, core: int, environment: Mapping[str, str] | None = None
    ) -> Process:
        """Start a program on ``core`` that ends with the stage."""
        return self.stack.enter_context(
            started(name, command, core=core, folder=self.folder, environment=environment)
        )


def build_stage(folder: Path, stack: ExitStack) -> Stage:
    """Make the certificate and choose cores and ports; start nothing yet."""
    authority = trustme.CA()
    leaf = authority.issue_cert(HOSTNAME, f"*.{PLATFORM_DOMAIN}")  # trustme's keys are ECDSA P-256
    certificate, key, root = folder / "chain.pem", folder / "key.pem", folder / "root.pem"
    for number, block in enumerate(leaf.cert_chain_pems):
        block.write_to_path(str(certificate), append=number > 0)
    leaf.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(root))
    return Stage(
        folder=folder,
        cores=choose_cores(),
        stack=stack,
        token="benchmark-session-token-of-43-characters-xx",  # noqa: S106 - a sample, for the auth service here alone
        certificate=certificate,
        key=key,
        authority=root,
        upstream_port=free_port(),
        streams_port=free_port(),
        auth_port=free_port(),
    )


def choose_cores() -> Cores:
    """Give the proxy a core of its own, and the load generator one too if there are three.

    Raises ``BenchError`` on a machine with a single core: what would be measured is its scheduler.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) == 1:
        raise BenchError("The benchmark needs two CPU cores: one for the proxy, one for the load.")
    return Cores(proxy=usable[0], backstage=usable[1], load=usable[2] if len(usable) > 2 else usable[1])  # noqa: PLR2004
