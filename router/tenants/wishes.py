"""Wishes: many tenants as somebody wants them, judged together, planned, and carried out.

A wish is judged by the registry's rules and compared with the tenant that there is. What is as it is wished
is left alone, so that saying the same twice changes nothing the second time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from router.errors import BadInput, Conflict, RouterError
from router.hostname import Hostname
from router.tenants.branding import BrandingForm
from router.tenants.deletion import given_up
from router.tenants.entry import TenantEntry, entry_of
from router.tenants.form import TenantForm
from router.tenants.forwarding import ForwardingForm
from router.tenants.plan import Step, step_to
from router.tenants.registry import Order
from router.tenants.tenant import Branding, Tenant, Upstream
from router.tenants.upstream_address import asking_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from router.tenants.form import Judged
    from router.tenants.registry import Registry
    from router.tenants.rows import TenantRecord

_JUDGED_AT_ONCE: Final = 16
"""So many at a time: a name that does not resolve holds up a sixteenth of the rest."""

EXTERNAL: Final = frozenset({"external_domain", "behind_cdn"})
"""The fields about a hostname of the tenant's own: changed together."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A tenant as it is wished; what the form leaves out, and ``suspended`` none, stay as they are."""

    slug: str
    form: TenantForm
    suspended: bool | None = None


@dataclass(frozen=True, slots=True)
class WishFault:
    """What is wrong with the wish at ``position``, counted from 0; its field as in ``branding.greeting``."""

    position: int
    field: str
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be done about one wish; without an ``order``, nothing."""

    step: Step
    order: Order | None


@dataclass(frozen=True, slots=True)
class Draft:
    """What the wishes come to, in their order: what is planned, and what is wrong with the rest."""

    planned: tuple[Planned, ...]
    faults: tuple[WishFault, ...]

    @property
    def steps(self) -> list[Step]:
        """What is planned about each tenant."""
        return [each.step for each in self.planned]

    @property
    def orders(self) -> list[Order]:
        """What is to be carried out."""
        return [each.order for each in self.planned if each.order is not None]


@dataclass(frozen=True, slots=True)
class Failure:
    """An order that could not be carried out."""

    slug: str
    code: str
    sentence: str


class Wishes:
    """Has wishes judged and carried out by a registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def draft(self, wishes: Sequence[Wish], on_judged: Callable[[], None] = lambda: None) -> Draft:
        """Judge and plan; nothing is changed. ``on_judged`` is called after each wish."""
        present = {record.tenant.slug: record for record in await self._registry.named(_slugs(wishes))}
        buried = await self._registry.given_up()
        planned: dict[int, Planned] = {}
        faults = repeated(wishes)
        todo = iter(enumerate(wishes))

        async def judge_each() -> None:
            for position, wish in todo:
                try:
                    planned[position] = await self._plan(wish, present.get(wish.slug), buried)
                except (BadInput, Conflict) as fault:
                    faults.extend(located(position, fault))
                on_judged()

        with asking_once():
            async with asyncio.TaskGroup() as group:
                for _ in range(_JUDGED_AT_ONCE):
                    group.create_task(judge_each())
        wrong = {fault.position for fault in faults}
        sound = tuple(planned[position] for position in sorted(planned.keys() - wrong))
        return Draft(sound, tuple(sorted(faults, key=lambda fault: fault.position)))

    async def carry_out(
        self,
        orders: Sequence[Order],
        *,
        actor: str,
        at_once: int = 1,
        on_done: Callable[[int], None] = lambda _: None,
    ) -> list[Failure]:
        """Carry out, ``at_once`` in a transaction (of changes a tenth), and say what could not be.

        Where one of a transaction cannot be, the others are carried out one by one. ``on_done`` hears how
        many were done. Raises ``Unavailable``: what was done by then stays.
        """
        failures: list[Failure] = []
        for batch in _batches(orders, at_once):
            try:
                await self._registry.write(batch, actor=actor)
            except Conflict as fault:
                if len(batch) > 1:
                    failures += await self.carry_out(batch, actor=actor, on_done=on_done)
                    continue
                failures.append(Failure(batch[0].slug, fault.code, fault.sentence))
            on_done(len(batch))
        return failures

    async def _plan(self, wish: Wish, record: TenantRecord | None, buried: frozenset[str]) -> Planned:
        """Judge one wish. Raises ``BadInput``, ``Conflict("slug_given_up")``."""
        judged = await self._registry.judge(wish.slug, wish.form, is_new=record is None)
        if record is None and wish.slug in buried:
            raise given_up(wish.slug)
        if wish.suspended is not None:
            status = "suspended" if wish.suspended else "active"
            judged = replace(judged, columns=judged.columns | {"status": status})
        present = None if record is None else entry_of(record.tenant, record.claims)
        step = step_to(entry_after(wish.slug, record, judged), present)
        if step.act == "unchanged":
            return Planned(step, None)
        changed = {difference.field for difference in step.differences}
        if not changed & EXTERNAL:  # the claim that there is may be on its way: it is left alone
            judged = replace(judged, wishes_external=False)
        return Planned(step, Order(wish.slug, judged, None if record is None else record.tenant.version))


def wish_of(entry: TenantEntry) -> Wish:
    """Wish for what an entry of a file says and, where it says nothing, for what is so by default."""
    form = TenantForm(
        name=entry.name,
        theme_colour=entry.theme_colour,
        upstreams=entry.upstreams,
        external_domain=entry.external_domain,
        behind_cdn=entry.behind_cdn,
        allow_registration=entry.allow_registration,
        registration_check=entry.registration_check,
        public_paths=entry.public_paths,
        forwarding=ForwardingForm(**entry.forwarding.model_dump()),
        branding=BrandingForm(**entry.branding.model_dump()),
    )
    return Wish(entry.slug, form, entry.suspended)


def _slugs(wishes: Sequence[Wish]) -> list[str]:
    return list(dict.fromkeys(wish.slug for wish in wishes))


def repeated(wishes: Sequence[Wish]) -> list[WishFault]:
    """Find what is wished twice: which of them is meant is anybody's guess."""
    seen: set[str] = set()
    faults = []
    for position, wish in enumerate(wishes):
        if wish.slug in seen:
            sentence = f"“{wish.slug[:60]}” is there before: a tenant is wished once."
            faults.append(WishFault(position, "slug", "duplicate_slug", sentence))
        seen.add(wish.slug)
    return faults


def located(position: int, fault: RouterError) -> Iterator[WishFault]:
    """Say where in which wish each of the faults is that were found in it."""
    for each in fault.faults if isinstance(fault, BadInput) else (fault,):
        yield WishFault(position, _field(each.field), each.code, each.sentence)


def _field(field: str) -> str:
    """Name a field as a file does: ``upstreams/0`` is upstreams[0]."""
    name, *steps = ("slug" if field == "portal_address" else field).split("/")
    return name + "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps)


def _batches(orders: Sequence[Order], size: int) -> Iterator[Sequence[Order]]:
    """Make batches, those of changes a tenth as large: each is read and written by itself."""
    added = [order for order in orders if order.version is None]
    changed = [order for order in orders if order.version is not None]
    for some, many in ((added, size), (changed, max(1, size // 10))):
        for start in range(0, len(some), many):
            yield some[start : start + many]


def entry_after(slug: str, record: TenantRecord | None, judged: Judged) -> TenantEntry:
    """Describe a tenant as it is once the wish has come true."""
    nobody = Tenant("", slug, Hostname(""), Branding("", ""), ())
    tenant = _tenant_after(nobody if record is None else record.tenant, judged)
    entry = entry_of(tenant, () if record is None else record.claims)
    if not judged.wishes_external:
        return entry
    external = str(judged.external or "")
    behind = entry.behind_cdn and external == entry.external_domain
    behind = behind if judged.behind_cdn is None else judged.behind_cdn and bool(external)
    return entry.model_copy(update={"external_domain": external, "behind_cdn": behind})


def _tenant_after(tenant: Tenant, judged: Judged) -> Tenant:
    columns = judged.columns
    looks = {name: columns[name] for name in ("name", "theme_colour") if name in columns}
    plain = ("allow_registration", "status")
    values: dict[str, Any] = {name: columns[name] for name in plain if name in columns}
    if "registration_check" in columns:
        values["registration_check"] = columns["registration_check"] or ""
    if "upstreams" in columns:
        values["upstreams"] = tuple(Upstream(**each) for each in columns["upstreams"])
    if "public_paths" in columns:
        values["public_paths"] = tuple(columns["public_paths"])
    return replace(
        tenant,
        branding=replace(tenant.branding, **judged.branding, **looks),
        forwarding=replace(tenant.forwarding, **judged.forwarding),
        **values,
    )
