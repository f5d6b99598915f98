"""What is to be done so that a tenant is as it is wished: the difference, field by field.

PURE.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from router.tenants.entry import TenantEntry

Act = Literal["add", "change", "unchanged"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One field, such as ``branding.greeting``: how it is and how it is wished."""

    field: str
    was: Any
    wished: Any


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one tenant. Of one that is added, ``differences`` are from the defaults."""

    slug: str
    act: Act
    differences: tuple[Difference, ...] = ()


def step_to(wished: TenantEntry, present: TenantEntry | None) -> Step:
    """Plan what makes a tenant as it is wished; ``present`` is how it is, none where there is none."""
    found = differences(wished, present or _nothing(wished))
    if present is None:
        return Step(wished.slug, "add", found)
    return Step(wished.slug, "change" if found else "unchanged", found)


def differences(wished: TenantEntry, present: TenantEntry) -> tuple[Difference, ...]:
    """Compare field by field, in the order of the fields."""
    had = present.flat()
    return tuple(
        Difference(field, had[field], value) for field, value in wished.flat().items() if had[field] != value
    )


def counted(steps: Iterable[Step]) -> dict[Act, int]:
    """Count the steps by what they do."""
    found = Counter(step.act for step in steps)
    acts: tuple[Act, ...] = ("add", "change", "unchanged")
    return {act: found[act] for act in acts}


def _nothing(wished: TenantEntry) -> TenantEntry:
    """Describe the tenant of that short name of which nothing was filled in."""
    return type(wished)(slug=wished.slug, name="", theme_colour="")
