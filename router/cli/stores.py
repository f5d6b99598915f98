"""What the commands work on: the database and the bell of the router that the settings describe.

A command is one process beside the running router. What it writes reaches every worker by the ``changes``
rows; the bell only makes that quick.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, column, inspect, make_url, select, table

from router.errors import Unavailable
from router.observe import logs
from router.settings import Settings, load_settings
from router.storage.bell import Bell, PollBell, RedisBell
from router.storage.database import Database
from router.storage.encryption_keys import check
from router.storage.key_file import read_keys, read_or_create_keys
from router.storage.sealed import Uses, uses
from router.storage.sealing import Sealer
from router.tenants.registry import Registry

if TYPE_CHECKING:
    from router.certificates.standings import Standings
    from router.certificates.uploads import Uploads
    from router.certificates.vault import Vault
    from router.identity.passwords import Passwords
    from router.identity.sessions import Sessions
    from router.identity.users import Users
    from router.tenants.domains import Domains
    from router.tenants.form import Offered
    from router.tenants.wishes import Wishes
    from router.webhooks.webhooks import Webhooks

_VERSIONS: Final = table("alembic_version", column("version_num"))


@dataclass(frozen=True)
class Stores:
    """The open database and bell, and the rooms that work on them, made when first asked for."""

    settings: Settings
    database: Database
    bell: Bell
    sealed: Uses

    @cached_property
    def registry(self) -> Registry:
        """The tenants."""
        return self._registry(None)

    async def owner(self, slug: str | None) -> str | None:
        """Find the id of the tenant that is named, or none where none is. Raises ``NotFound``."""
        return (await self.registry.get(slug)).tenant.id if slug is not None else None

    @cached_property
    def wishes(self) -> Wishes:
        """Many tenants at once; the themes and languages that they name are looked for."""
        from router.cli.theme import load_themes  # noqa: PLC0415 - most commands read no themes
        from router.tenants.wishes import Wishes  # noqa: PLC0415 - the same

        themes = load_themes(self.settings.themes_dir, self.settings.languages_dir)
        return Wishes(self._registry(themes.offered))

    def _registry(self, offered: Offered | None) -> Registry:
        return Registry(
            self.database,
            self.bell,
            platform_domain=self.settings.platform_domain,
            allow_private_upstreams=self.settings.allow_private_upstreams,
            has_default_upstreams=bool(self.settings.default_upstreams),
            reserved_slugs=frozenset({self.settings.admin_name}),
            offered=offered,
        )

    @cached_property
    def vault(self) -> Vault:
        """The certificates."""
        from router.certificates.vault import Vault  # noqa: PLC0415 - most commands do without cryptography

        return Vault(self.database, self.bell, self.sealer)

    @cached_property
    def uploads(self) -> Uploads:
        """The uploads of certificates, judged and kept."""
        from router.certificates.uploads import Uploads  # noqa: PLC0415 - the same

        return Uploads(self.database, self.vault)

    @cached_property
    def standings(self) -> Standings:
        """Where certificates stand."""
        from router.certificates.standings import Standings  # noqa: PLC0415 - the same

        return Standings(self.database)

    @cached_property
    def sealer(self) -> Sealer:
        """What seals private keys and mails; the first key is made now.

        Raises ``BadSettings`` when the keys are not those that the database needs: what is sealed by anybody
        else's would open nowhere.
        """
        check(self.sealed, self.keys, self.settings.key_file)
        return Sealer(self.keys or read_or_create_keys(self.settings.key_file))

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The encryption keys, unchecked; none where there are none yet. Raises ``BadSettings``."""
        return self.settings.sealing_keys or read_keys(self.settings.key_file)

    @cached_property
    def domains(self) -> Domains:
        """The claims to hostnames, and the look for their proof."""
        from router.storage.notices import Notices  # noqa: PLC0415 - the same
        from router.storage.outbox import Outbox  # noqa: PLC0415 - the same
        from router.tenants.checks import Checks  # noqa: PLC0415 - the same
        from router.tenants.domains import Domains  # noqa: PLC0415 - the same
        from router.tenants.verify import Verifier  # noqa: PLC0415 - the same for dnspython

        settings = self.settings
        checks = Checks(
            self.database,
            self.bell,
            Verifier(settings.domain_resolvers or settings.resolvers),
            Notices(Outbox(self.sealer), settings.operators_email),
            platform_domain=settings.platform_domain,
        )
        return Domains(self.database, self.bell, checks, platform_domain=settings.platform_domain)

    @cached_property
    def webhooks(self) -> Webhooks:
        """The webhooks."""
        from router.tenants.webhook_address import check_webhook_url  # noqa: PLC0415 - the same
        from router.webhooks.webhooks import Webhooks  # noqa: PLC0415 - the same

        check_url = partial(check_webhook_url, allow_private=self.settings.allow_private_upstreams)
        return Webhooks(self.database, self.bell, self.sealer, check_url)

    @cached_property
    def passwords(self) -> Passwords:
        """The hashing of passwords: a thread or two, which end with the process."""
        from router.identity.passwords import Passwords  # noqa: PLC0415 - the same for Argon2

        return Passwords()

    @cached_property
    def users(self) -> Users:
        """The users."""
        from router.identity.users import Users  # noqa: PLC0415 - the same

        return Users(self.database, self.bell, self.passwords)

    @cached_property
    def sessions(self) -> Sessions:
        """The sessions, as the database has them: workers hear of what is changed by its changes."""
        from router.identity.sessions import Sessions  # noqa: PLC0415 - the same
        from router.storage.changes import ChangeFeed  # noqa: PLC0415 - the same

        return Sessions(self.database, None, self.bell, ChangeFeed(self.database, self.bell))


@asynccontextmanager
async def opened(settings: Settings | None = None) -> AsyncIterator[Stores]:
    """Open what the settings name, and close it afterwards.

    Raises ``BadSettings``, ``Unavailable("database_not_migrated")``, ``Unavailable("database_unavailable")``.
    """
    settings = settings or load_settings()
    # What a part would log is told by the command itself: its answer, or its error.
    logs.configure("critical", json=False)
    _check_file(settings.database_url)
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url)
        stack.push_async_callback(database.close)
        await database.open()
        await _check_tables(database, settings.database_url)
        bell: Bell = RedisBell(settings.redis_url) if settings.redis_url else PollBell()
        stack.push_async_callback(bell.close)
        yield Stores(settings, database, bell, await uses(database))


def actor() -> str:
    """Say for the audit who runs the command."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # a container's user without a name
        return f"cli:{os.getuid()}"


def _check_file(database_url: str) -> None:
    """Refuse before SQLite makes an empty database of a mistyped path."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        sentence = f"There is no database at {place_of(database_url)} (ROUTER_DATABASE_URL says where it is)."
        more = "If that is the right place, make it: tenant-router migrate"
        raise Unavailable("database_not_migrated", f"{sentence} {more}")


def place_of(database_url: str) -> str:
    """Say where a database is, and nothing that is secret."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return str(Path(str(url.database)).absolute())
    return f"{url.host or 'this machine'}/{url.database}"


def _not_migrated(database_url: str) -> Unavailable:
    sentence = f"The database at {place_of(database_url)} has no tables yet, or older ones."
    return Unavailable("database_not_migrated", f"{sentence} First: tenant-router migrate")


async def _check_tables(database: Database, database_url: str) -> None:
    async with database.read() as connection:
        if not await connection.run_sync(_has_versions):
            raise _not_migrated(database_url)
        found = {str(version) for version in await connection.scalars(select(_VERSIONS.c.version_num))}
    known = _revisions()
    if found - known:
        raise Unavailable("database_newer", "A newer tenant-router migrated this database: use that one.")
    if max(known) not in found:
        raise _not_migrated(database_url)


def _has_versions(connection: Connection) -> bool:
    return inspect(connection).has_table(_VERSIONS.name)


def _revisions() -> set[str]:
    """Name the revisions by their files (r0001_foundations.py): importing Alembic takes a second."""
    folder = files("router.storage.migrations") / "versions"
    names = [entry.name for entry in folder.iterdir()]
    return {name[1:5] for name in names if name.startswith("r") and name[1:5].isdigit()}
