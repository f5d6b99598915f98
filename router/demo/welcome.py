"""What the demo tells the person who started it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rich.console import Console

from router.demo.seed import OPERATOR, PASSWORD, PLATFORM_DOMAIN, TENANTS, DemoTenant


def welcome(
    settings_file: Path, ca_file: Path, certs_dir: Path, https_port: int, mails_url: str, *, with_redis: bool
) -> None:
    """Print what to open, whom to trust, and what to do next."""
    console = Console(soft_wrap=True, highlight=False)
    console.print("\n[bold]tenant-router is running, with two tenants.[/]\n")
    console.print("[bold]Open, and sign in with this e-mail address and password[/]")
    for line in _portals(https_port):
        console.print(line, markup=False)
    console.print("\n[bold]Operate it: the console, with the same password[/]")
    console.print(f"  https://admin.{PLATFORM_DOMAIN}:{https_port}/   {OPERATOR}   {PASSWORD}", markup=False)
    cache = "a Valkey server of its own" if with_redis else "no Redis: each worker caches in its memory"
    console.print(
        f"\nEverything is in {settings_file.parent} ({cache}); the certificates are in {certs_dir}.\n"
    )
    for title, lines in (
        ("Read the mails that customers get", [mails_url]),
        ("Without a browser", _by_curl(ca_file, https_port)),
        ("Trust the demo's certificate authority", _trust(ca_file)),
        (
            "Operate it by commands (in another terminal)",
            [f"ROUTER_CONFIG={settings_file} {_command()} tenant list"],
        ),
        ("Stop", ["Ctrl-C"]),
    ):
        console.print(f"[bold]{title}[/]")
        for line in lines:
            console.print(f"  {line}", markup=False)
        console.print()
    console.file.flush()


def _command() -> str:
    """Give the command as it can be typed: `make run` starts one that is on nobody's PATH."""
    started = Path(sys.argv[0]).absolute()
    found = shutil.which(started.name)
    return started.name if found and Path(found).absolute() == started else str(started)


def _portals(https_port: int) -> list[str]:
    # Lines and no table, which a narrow window would cut.
    return [f"  https://{tenant.hostname}:{https_port}/   {tenant.email}   {PASSWORD}" for tenant in TENANTS]


def _by_curl(ca_file: Path, https_port: int) -> list[str]:
    return [
        f"curl --cacert {ca_file} --resolve {_resolved(tenant, https_port)} "
        f"https://{tenant.hostname}:{https_port}/-/sign-in"
        for tenant in TENANTS
    ]


def _resolved(tenant: DemoTenant, https_port: int) -> str:
    return f"{tenant.hostname}:{https_port}:127.0.0.1"


def _trust(ca_file: Path) -> list[str]:
    external = " ".join(tenant.hostname for tenant in TENANTS if tenant.external_domain)
    return [
        f"Import {ca_file} in the browser's settings as an authority for websites; remove it afterwards.",
        f"Names under localhost resolve by themselves in browsers; {external} needs a line in /etc/hosts:",
        f"127.0.0.1 {external}",
    ]
