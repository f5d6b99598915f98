"""Many tenants as they are wished, compared with those elsewhere, and made so by the API, one by one.

What is spelled wrongly is found here, by the router's own rules; what only the router can know (its themes,
where upstreams may be, short names given up) it says when it is asked to do it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from router.cli.asking import progress
from router.cli.remote.client import Client, Told
from router.cli.remote.exporting import entry_told
from router.cli.remote.tenants import tenant_path
from router.errors import BadInput, Conflict, Faults, NotFound, Unavailable
from router.hostname import Hostname
from router.tenants.entry import TenantEntry
from router.tenants.form import Judged, TenantForm, judge
from router.tenants.plan import Step, step_to
from router.tenants.upstream_address import asking_once
from router.tenants.wishes import EXTERNAL, Failure, Wish, WishFault, entry_after, located, repeated

_SECTIONS: Final = ("branding", "forwarding")


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done about one tenant, of that version; of a new one there is none."""

    step: Step
    wished: TenantEntry
    version: int | None


@dataclass(frozen=True, slots=True)
class RemoteDraft:
    """What the wishes come to, in their order."""

    tasks: tuple[Task, ...]
    faults: tuple[WishFault, ...]

    @property
    def steps(self) -> list[Step]:
        """What is planned about each tenant."""
        return [each.step for each in self.tasks]

    @property
    def orders(self) -> list[Task]:
        """What is to be carried out."""
        return [each for each in self.tasks if each.step.act != "unchanged"]


def draft(client: Client, wishes: Sequence[Wish], *, quiet: bool) -> RemoteDraft:
    """Compare each wish with the tenant that there is; nothing is changed."""
    tasks, faults = {}, repeated(wishes)
    with progress("Judging", len(wishes), quiet=quiet) as shown, asking_once():
        for position, wish in enumerate(wishes):
            try:
                tasks[position] = _plan(client, wish)
            except BadInput as fault:
                faults.extend(located(position, fault))
            shown(1)
    wrong = {fault.position for fault in faults}
    sound = tuple(task for position, task in tasks.items() if position not in wrong)
    return RemoteDraft(sound, tuple(sorted(faults, key=lambda fault: fault.position)))


def carry_out(client: Client, tasks: Sequence[Task], *, quiet: bool) -> list[Failure]:
    """Do it, and say what the router would not do. Raises ``Unavailable``, saying how far it came."""
    failures: list[Failure] = []
    with progress("Tenants", len(tasks), quiet=quiet) as shown:
        for done, task in enumerate(tasks):
            try:
                _carry_out(client, task)
            except (BadInput, Conflict, NotFound) as fault:
                failures.append(Failure(task.step.slug, fault.code, fault.sentence))
            except Unavailable as fault:
                so_far = f" {done} of {len(tasks)} were done, and stay: the same again goes on from there."
                raise Unavailable(fault.code, fault.sentence + so_far) from fault.__cause__
            shown(1)
    return failures


def _plan(client: Client, wish: Wish) -> Task:
    try:
        told: Told | None = client.get(tenant_path(wish.slug))
    except NotFound:
        told = None
    judged = asyncio.run(_judged(wish.form, client.hostname, is_new=told is None))
    entry = entry_after(wish.slug, None, judged).model_copy(update={"suspended": bool(wish.suspended)})
    if told is None:
        return Task(step_to(entry, None), entry, None)
    present = entry_told(told)
    wished = _merged(present, entry, _given(wish))
    return Task(step_to(wished, present), wished, told["version"])


async def _judged(form: TenantForm, console: Hostname, *, is_new: bool) -> Judged:
    return await judge(
        form,
        Faults(),
        platform_domain=console,
        allow_private_upstreams=True,
        needs_upstreams=False,
        is_new=is_new,
    )


def _given(wish: Wish) -> set[str]:
    """Name the fields that a wish says something of."""
    form = wish.form
    own = {each.name for each in fields(form) if getattr(form, each.name) is not None} - set(_SECTIONS)
    for section in _SECTIONS:
        inner = getattr(form, section)
        own |= {f"{section}.{each.name}" for each in fields(inner) if getattr(inner, each.name) is not None}
    return own | ({"suspended"} if wish.suspended is not None else set())


def _merged(present: TenantEntry, wished: TenantEntry, given: set[str]) -> TenantEntry:
    """Describe a tenant as it is after a wish that leaves fields out."""
    if "external_domain" not in given:
        given = given - {"behind_cdn"}
    elif wished.external_domain != present.external_domain:
        given = given | {"behind_cdn"}
    every = present.flat() | {name: value for name, value in wished.flat().items() if name in given}
    return TenantEntry.model_validate(_nested(every))


def _carry_out(client: Client, task: Task) -> None:
    entry, path = task.wished, tenant_path(task.step.slug)
    if task.version is None:
        wish = {name: value for name, value in entry.written().items() if name not in ("slug", "suspended")}
        made = client.post("/tenants", wish | {"portal_address": entry.slug})
        if entry.suspended:
            client.post(f"{path}/suspend", version=made["version"])
        return
    changed, version = {each.field for each in task.step.differences}, task.version
    named = changed | (EXTERNAL if changed & EXTERNAL else frozenset())
    wish = _nested({name: entry.flat()[name] for name in named if name != "suspended"})
    if wish:
        version = client.patch(path, wish, version=version)["version"]
    if "suspended" in changed:
        client.post(f"{path}/{'suspend' if entry.suspended else 'resume'}", version=version)


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Put fields such as ``branding.greeting`` into their sections."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        section, dot, inner = name.partition(".")
        if dot:
            found.setdefault(section, {})[inner] = value
        else:
            found[name] = value
    return found
