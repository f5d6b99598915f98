"""Pages of tenants, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from router.errors import BadInput
from router.hostname import Hostname
from router.storage.bell import PollBell
from router.tenants.form import TenantForm
from router.tenants.listing import Selection, Sorting
from router.tenants.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.storage.database import Database
    from router.tenants.listing import Place

NAMES = {
    "zeta": "acme Tools",
    "beta": "Ärger & Söhne",
    "alpha": "ACME Tools",
    "acme": "Zebra",
    "gamma": "émile",
}


@pytest.fixture
async def registry(database: Database) -> Registry:
    """Five tenants, each changed later than the one before; beta has a hostname of its own."""
    times = iter(range(1_700_000_000, 1_800_000_000))
    made = Registry(
        database,
        PollBell(),
        platform_domain=Hostname("portal.example"),
        allow_private_upstreams=True,
        clock=lambda: next(times),
    )
    for slug, name in NAMES.items():
        form = TenantForm(name=name, theme_colour="#0B6E4F", upstreams=["http://127.0.0.1:9"])
        await made.add(slug, form, actor="test")
    await made.change("beta", TenantForm(external_domain="billing.aerger.example"), actor="test")
    await made.suspend("gamma", actor="test")
    return made


async def found(registry: Registry, selection: Selection, *, most: int = 50) -> list[str]:
    """Short names, page by page."""
    slugs: list[str] = []
    after: Place | None = None
    while page := await registry.page(selection, after=after, most=most):
        slugs += [record.tenant.slug for record in page]
        after = selection.place(page[-1])
    return slugs


@pytest.mark.parametrize("most", [1, 2, 50])
@pytest.mark.parametrize("order", get_args(Sorting))
async def test_the_pages_are_the_list(registry: Registry, order: Sorting, most: int) -> None:
    """However it is cut, everybody is told once, in order; names are in order whatever their capitals."""
    slugs = await found(registry, Selection(order=order), most=most)
    assert sorted(slugs) == sorted(NAMES)
    forth = slugs[::-1] if order.startswith("-") else slugs
    match order.removeprefix("-"):
        case "slug":
            assert forth == sorted(NAMES)
        case "updated_at":
            assert forth == ["zeta", "alpha", "acme", "beta", "gamma"]
        case _:
            assert set(forth[:2]) in ({"alpha", "zeta"}, {"zeta", "alpha"})


@pytest.mark.parametrize(
    ("search", "slugs"),
    [
        ("acme", ["acme", "alpha", "zeta"]),
        ("  ACME   tools ", ["alpha", "zeta"]),
        ("SÖHNE", ["beta"]),
        ("eTa", ["beta", "zeta"]),
        ("Aerger.EXAMPLE", ["beta"]),
        ("portal.example", []),
        ("acme.portal.example", ["acme"]),
        ("%", []),
        ("_", []),
        ("&", ["beta"]),
    ],
    ids=str,
)
async def test_a_search_is_for_a_part(registry: Registry, search: str, slugs: Sequence[str]) -> None:
    """Of the short name, the name or a hostname, in whatever capitals; no character is a wildcard."""
    assert await found(registry, Selection(search=search)) == slugs


async def test_what_was_given_up_is_not_found(registry: Registry) -> None:
    """A hostname that is the tenant's no more names it no more; a former name neither."""
    form = TenantForm(name="Freude", external_domain="")
    await registry.change("beta", form, actor="test")
    assert await found(registry, Selection(search="aerger")) == []
    assert await found(registry, Selection(search="söhne")) == []
    assert await found(registry, Selection(search="FREUDE")) == ["beta"]


async def test_filters_add_up(registry: Registry) -> None:
    """Status, search, and the one tenant that may be seen at all."""
    acme = (await registry.get("acme")).tenant.id
    assert await found(registry, Selection(status="suspended")) == ["gamma"]
    assert await found(registry, Selection(status="suspended", search="acme")) == []
    assert await found(registry, Selection(only=acme)) == ["acme"]
    assert await found(registry, Selection(only=acme, search="zeta")) == []


@pytest.mark.parametrize("search", ["a\0", "\ud800"], ids=ascii)
async def test_what_no_database_takes_is_refused(registry: Registry, search: str) -> None:
    """A NUL or half a character is bad input, not an outage."""
    with pytest.raises(BadInput) as caught:
        await registry.page(Selection(search=search))
    assert (caught.value.code, caught.value.field) == ("bad_search", "search")
