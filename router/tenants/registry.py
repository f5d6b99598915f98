"""Registry: what operators do to tenants.

Each use case is one transaction that holds the change itself, a line of audit, and the ``changes`` rows that
tell every worker; then the bell is rung. Bad input changes nothing. Saying the same twice is no change.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from router.errors import BadInput, Conflict, Faults, NotFound
from router.storage.schema import claims, tenants, tombstones
from router.tenants.branding import stored_branding
from router.tenants.claim_rows import move_claim, release_others, wish_external
from router.tenants.claims import (
    Claim,
    ClaimEvent,
    ClaimState,
    check_external_hostname,
    check_reason,
    check_slug,
    chosen,
)
from router.tenants.creation import create_tenants
from router.tenants.deletion import check_tombstones, delete_tenant
from router.tenants.form import Judged, Offered, TenantForm, judge
from router.tenants.forwarding import stored_forwarding
from router.tenants.listing import find_page, folded
from router.tenants.notes import note_all
from router.tenants.picture_rows import store_pictures
from router.tenants.rows import TenantRecord, find_claims, find_records, record_of
from router.tenants.short_names import look, take, taken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.hostname import Hostname
    from router.storage.changes import Bell
    from router.storage.database import Database
    from router.tenants.listing import Place, Selection
    from router.tenants.notes import Noted
    from router.tenants.tenant import Tenant, TenantStatus


_NAMED_AT_ONCE: Final = 1000
"""Values in one statement: SQLite takes 32,766."""


@dataclass(frozen=True, slots=True)
class Order:
    """A tenant to be added (no ``version``), or to be changed if that is its version yet."""

    slug: str
    judged: Judged
    version: int | None = None


class Registry:
    """The tenants as operators change them. ``actor`` is who to name in the audit.

    ``has_default_upstreams`` says whether the platform forwards for tenants that name no upstream;
    ``reserved_slugs`` are short names that its settings took for itself. ``offered`` are the themes and
    languages to choose from; none, if that was looked at before.
    """

    def __init__(
        self,
        database: Database,
        bell: Bell,
        *,
        platform_domain: Hostname,
        allow_private_upstreams: bool,
        has_default_upstreams: bool = False,
        reserved_slugs: frozenset[str] = frozenset(),
        offered: Offered | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._bell = bell
        self._platform_domain = platform_domain
        self._allow_private_upstreams = allow_private_upstreams
        self._needs_upstreams = not has_default_upstreams
        self._reserved_slugs = reserved_slugs
        self._offered = offered
        self._clock = clock

    @property
    def platform_domain(self) -> Hostname:
        """The domain that the tenants' platform addresses are under."""
        return self._platform_domain

    @property
    def needs_upstreams(self) -> bool:
        """Whether every tenant has to name an upstream: the platform has none for those that do not."""
        return self._needs_upstreams

    @property
    def offered(self) -> Offered | None:
        """The themes and languages there are to choose from; none where nobody has said."""
        return self._offered

    async def list(self) -> list[TenantRecord]:
        """All tenants, by short name."""
        async with self._database.read() as connection:
            return await find_records(connection, self._platform_domain)

    async def named(self, slugs: Sequence[str]) -> Sequence[TenantRecord]:
        """The tenants of these short names that there are."""
        found = []
        async with self._database.read() as connection:
            for start in range(0, len(slugs), _NAMED_AT_ONCE):
                these = tenants.c.slug.in_(slugs[start : start + _NAMED_AT_ONCE])
                found += await find_records(connection, self._platform_domain, these)
        return found

    async def page(
        self, selection: Selection, *, after: Place | None = None, most: int = 50
    ) -> Sequence[TenantRecord]:
        """Some tenants in order, after a place. Raises ``BadInput("bad_search")``."""
        async with self._database.read() as connection:
            return await find_page(connection, selection, after, most, self._platform_domain)

    async def get(self, slug: str) -> TenantRecord:
        """One tenant. Raises ``NotFound("tenant_not_found")``."""
        async with self._database.read() as connection:
            return await self._find(connection, slug)

    async def claims_of(self, hostname: Hostname) -> Sequence[Claim]:
        """Every claim to a hostname, whatever its state, the oldest first."""
        async with self._database.read() as connection:
            return await find_claims(connection, claims.c.hostname == hostname)

    async def add(
        self, slug: str, form: TenantForm, *, actor: str, take_over_slug: bool = False
    ) -> TenantRecord:
        """Create a tenant, with its platform address active and its external one pending.

        ``take_over_slug`` says that the short name may have been another tenant's, which is gone. Raises
        ``BadInput`` for a field that is missing or wrong, ``Conflict`` with ``slug_taken`` or
        ``slug_given_up``; where both are so, the ``BadInput`` has the conflict among its faults.
        """
        judged = await self.judge_new(slug, form, take_over_slug=take_over_slug)
        async with self._writing(taken(slug)) as connection:
            await take(connection, slug, take_over=take_over_slug)
            [record] = await self._create(connection, {slug: judged})
            await note_all(connection, [_addition(record)], actor, int(self._clock()))
        await self._bell.ring()
        return record

    async def change(
        self, slug: str, form: TenantForm, *, actor: str, version: int | None = None
    ) -> TenantRecord:
        """Change what the form fills in.

        A new external hostname is pending, and the former one serves until the new one is active. Raises
        ``NotFound``, ``BadInput``, ``Conflict`` with ``claim_state``, or ``changed_meanwhile`` when the
        tenant is not of the ``version`` any more that was seen.
        """
        judged = await self._judge(form, Faults())
        async with self._writing() as connection:
            before = await self._find(connection, slug, lock=True, version=version)
            record = await self._fill_in(connection, before, judged)
            if record is before:
                return before
            await self._note(connection, record, actor, "tenant.change", _difference(before, record))
        await self._bell.ring()
        return record

    async def judge(self, slug: str, form: TenantForm, *, is_new: bool) -> Judged:
        """Judge what :meth:`add` or :meth:`change` would do, and do nothing. Raises ``BadInput``."""
        faults = Faults()
        with faults.at("portal_address"):
            check_slug(slug, self._reserved_slugs if is_new else frozenset())
        return await self._judge(form, faults, is_new=is_new)

    async def judge_new(self, slug: str, form: TenantForm, *, take_over_slug: bool = False) -> Judged:
        """Judge a new tenant. Whoever has to mend something hears at once if the short name is taken, too.

        Raises ``BadInput``.
        """
        try:
            return await self.judge(slug, form, is_new=True)
        except BadInput as fault:
            if all(each.field != "portal_address" for each in fault.faults):
                async with self._database.read() as connection:
                    not_free = await look(connection, slug, take_over=take_over_slug)
                if not_free is not None:
                    told = BadInput(not_free.code, not_free.sentence, field=not_free.field)
                    fault.further = (*fault.further, told)
            raise

    async def given_up(self) -> frozenset[str]:
        """The short names of tenants that were deleted: :meth:`write` gives them to no other."""
        async with self._database.read() as connection:
            return frozenset(await connection.scalars(select(tombstones.c.slug)))

    async def write(self, orders: Sequence[Order], *, actor: str) -> None:
        """Add and change tenants as they were judged, all in one transaction.

        Raises ``Conflict`` with ``changed_meanwhile``, when one is not as it was when that was ordered,
        ``slug_given_up`` or ``claim_state``; then nothing is done.
        """
        added = {order.slug: order.judged for order in orders if order.version is None}
        async with self._writing() as connection:
            await check_tombstones(connection, added)
            noted: list[Noted] = []
            for order in sorted(orders, key=lambda each: each.slug):  # so that two writers lock alike
                if order.version is not None:
                    noted += await self._carry_out(connection, order)
            if added:
                noted += map(_addition, await self._create(connection, added))
            await note_all(connection, noted, actor, int(self._clock()))
        await self._bell.ring()

    async def suspend(self, slug: str, *, actor: str, version: int | None = None) -> TenantRecord:
        """Switch a portal off: its hostnames answer with a themed 503 until it is resumed."""
        return await self._set_status(slug, "suspended", "tenant.suspend", actor, version)

    async def resume(self, slug: str, *, actor: str, version: int | None = None) -> TenantRecord:
        """Switch a suspended portal on again."""
        return await self._set_status(slug, "active", "tenant.resume", actor, version)

    async def delete(self, slug: str, *, actor: str, version: int | None = None) -> TenantRecord:
        """Delete a tenant with all that is its own: users, sessions, certificates, hostnames, mails.

        Its short name is given to no other by itself. Answers the tenant as it was. Raises ``NotFound``, and
        ``Conflict("changed_meanwhile")`` as a change does.
        """
        async with self._writing() as connection:
            record = await self._find(connection, slug, lock=True, version=version)
            await delete_tenant(connection, record, int(self._clock()))
            await self._note(connection, record, actor, "tenant.delete", {"slug": slug} | _facts(record))
        await self._bell.ring()
        return record

    async def activate_domain(
        self,
        raw: str,
        *,
        reason: str,
        actor: str,
        slug: str | None = None,
    ) -> Claim:
        """Make a claim active by a platform operator's word; ``slug`` says whose, where several claim it.

        The tenant's former external hostname is released. Raises ``NotFound("claim_not_found")``,
        ``Conflict`` with ``claimed_by_several``, ``hostname_taken`` or ``claim_state``, ``BadInput``.
        """
        hostname = check_external_hostname(raw, self._platform_domain)
        reason = check_reason(reason)
        taken = Conflict("hostname_taken", f"Another tenant holds {hostname}: it has to give it up first.")
        async with self._writing(taken) as connection:
            claim = chosen(await find_claims(connection, claims.c.hostname == hostname), hostname, slug)
            before = await self._find(connection, claim.slug, lock=True)
            # As it is now that nobody else moves it: it may have been blocked while the lock was waited for.
            claim = next(held for held in before.claims if held.id == claim.id)
            if claim.state is ClaimState.ACTIVE and claim.proof == "operator":
                return claim
            now = int(self._clock())
            await move_claim(connection, claim, ClaimEvent.VOUCH, now, reason)
            await release_others(connection, before.claims, claim, now)
            await self._update(connection, before, {}, moved=True)
            record = await self._find(connection, claim.slug)
            detail = {"hostname": hostname, "reason": reason, "was": claim.state.value}
            await self._note(connection, record, actor, "domain.activate", detail)
        await self._bell.ring()
        return next(held for held in record.claims if held.id == claim.id)

    async def _judge(self, form: TenantForm, faults: Faults, *, is_new: bool = False) -> Judged:
        return await judge(
            form,
            faults,
            platform_domain=self._platform_domain,
            allow_private_upstreams=self._allow_private_upstreams,
            needs_upstreams=self._needs_upstreams,
            offered=self._offered,
            is_new=is_new,
        )

    @asynccontextmanager
    async def _writing(self, taken: Conflict | None = None) -> AsyncIterator[AsyncConnection]:
        """Open the transaction; two writers at once meet at a unique index, which is ``taken``."""
        try:
            async with self._database.write() as connection:
                yield connection
        except IntegrityError as fault:
            raise (taken or Conflict("changed_meanwhile", "Somebody else changed it: try again.")) from fault

    async def _find(
        self, connection: AsyncConnection, slug: str, *, lock: bool = False, version: int | None = None
    ) -> TenantRecord:
        statement = select(tenants).where(tenants.c.slug == slug)
        if lock:  # PostgreSQL; a SQLite transaction is the only writer anyway
            statement = statement.with_for_update()
        row = (await connection.execute(statement)).mappings().one_or_none()
        if row is None:
            raise NotFound("tenant_not_found", f"There is no tenant “{slug[:60]}”.")
        if version not in (None, row["version"]):
            raise Conflict("changed_meanwhile", "Somebody else changed it meanwhile: look at it again first.")
        held = await find_claims(connection, claims.c.tenant_id == row["id"])
        return record_of(row, held, self._platform_domain)

    async def _create(
        self, connection: AsyncConnection, wanted: Mapping[str, Judged]
    ) -> Sequence[TenantRecord]:
        return await create_tenants(connection, wanted, self._platform_domain, int(self._clock()))

    async def _carry_out(self, connection: AsyncConnection, order: Order) -> Sequence[Noted]:
        """Change a tenant that is as it was when that was ordered, and say what is to be noted of it."""
        before = await self._find(connection, order.slug, lock=True)
        if before.tenant.version != order.version:
            sentence = f"Somebody changed tenant {order.slug} meanwhile: nothing was done, look again."
            raise Conflict("changed_meanwhile", sentence)
        record = await self._fill_in(connection, before, order.judged)
        return [] if record is before else [_noted(record, "tenant.change", _difference(before, record))]

    async def _fill_in(
        self, connection: AsyncConnection, before: TenantRecord, judged: Judged
    ) -> TenantRecord:
        """Write what was filled in, and give the tenant as it is then: ``before`` itself for no change."""
        moved, now = False, int(self._clock())
        if judged.wishes_external:
            moved = await wish_external(
                connection,
                before.tenant.id,
                before.claims,
                judged.external,
                now,
                behind_cdn=judged.behind_cdn,
            )
        columns = judged.columns_after(before.tenant.forwarding, before.tenant.branding)
        if not await self._update(connection, before, columns, moved=moved):
            return before
        await store_pictures(connection, before.tenant.id, judged.pictures, now)
        return await self._find(connection, before.tenant.slug)

    async def _update(
        self,
        connection: AsyncConnection,
        before: TenantRecord,
        columns: dict[str, Any],
        *,
        moved: bool,
    ) -> bool:
        """Write what differs and count the version up; False when there is nothing to write."""
        stored = _stored(before.tenant)
        values = {column: value for column, value in columns.items() if stored[column] != value}
        if not values and not moved:
            return False
        if "name" in values:
            values["folded_name"] = folded(values["name"])
        values |= {"version": before.tenant.version + 1, "updated_at": int(self._clock())}
        await connection.execute(update(tenants).where(tenants.c.id == before.tenant.id).values(values))
        return True

    async def _set_status(
        self, slug: str, status: TenantStatus, action: str, actor: str, version: int | None
    ) -> TenantRecord:
        async with self._writing() as connection:
            before = await self._find(connection, slug, lock=True, version=version)
            if not await self._update(connection, before, {"status": status}, moved=False):
                return before
            record = await self._find(connection, slug)
            await self._note(connection, record, actor, action, {"was": before.tenant.status})
        await self._bell.ring()
        return record

    async def _note(
        self,
        connection: AsyncConnection,
        record: TenantRecord,
        actor: str,
        action: str,
        detail: Mapping[str, Any],
    ) -> None:
        """Write the audit, and tell every worker of the tenant and its hostnames; last, as changes wants."""
        await note_all(connection, [_noted(record, action, detail)], actor, int(self._clock()))


def _noted(record: TenantRecord, action: str, detail: Mapping[str, Any]) -> Noted:
    return record.tenant.id, [claim.hostname for claim in record.claims], action, detail


def _addition(record: TenantRecord) -> Noted:
    return _noted(record, "tenant.add", {"slug": record.tenant.slug} | _facts(record))


def _stored(tenant: Tenant) -> dict[str, Any]:
    """Spell a tenant as its columns hold it."""
    return {
        **stored_branding(tenant.branding),
        "allow_registration": tenant.allow_registration,
        "registration_check": tenant.registration_check or None,
        "public_paths": list(tenant.public_paths),
        "upstreams": [asdict(upstream) for upstream in tenant.upstreams],
        "forwarding": stored_forwarding(tenant.forwarding),
        "status": tenant.status,
    }


def _facts(record: TenantRecord) -> dict[str, Any]:
    """Tell for the audit how a tenant is, field by field."""
    facts = _stored(record.tenant)
    claimed = {str(claim.hostname): claim.state.value for claim in record.claims}
    facts |= {"claims": claimed, **facts.pop("forwarding"), **facts.pop("branding")}
    return facts


def _difference(before: TenantRecord, after: TenantRecord) -> dict[str, Any]:
    """Tell for the audit what changed, from what to what; None is the platform's way."""
    old, new = _facts(before), _facts(after)
    names = [name for name in old | new if old.get(name) != new.get(name)]
    return {name: {"from": old.get(name), "to": new.get(name)} for name in names}
