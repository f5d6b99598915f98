"""``/tenants``: who has a portal, and how it is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

from pydantic import BaseModel, Field

from router.console.access import check_change
from router.console.api.lists import Paging, piece, place_of
from router.console.api.operation import Call, Operation, Reply
from router.console.api.tenant_views import (
    TenantChange,
    TenantSummary,
    TenantTold,
    TenantWish,
    summary_of,
    told_of,
)
from router.console.scopes import Scope
from router.errors import BadInput, NotFound
from router.tenants.branding import BrandingForm
from router.tenants.form import TenantForm
from router.tenants.listing import Place, Selection, Sorting
from router.tenants.pictures import MAX_UPLOAD, PictureKind

if TYPE_CHECKING:
    from router.tenants.registry import Registry
    from router.tenants.rows import TenantRecord

_ONE: Final = "/tenants/{tenant}"
_IMAGE: Final = "/tenants/{tenant}/images/{kind}"
_MOST: Final = 256 * 1024
"""Octets: the certificates of ``upstream_ca`` alone may have 64 KiB."""
_FAULTS: Final = (
    "missing_field",
    "bad_name",
    "bad_colour",
    "bad_public_path",
    "bad_registration_check",
    "bad_upstream",
    "bad_weight",
    "private_upstream",
    "forbidden_upstream",
    "bad_count",
    "bad_url",
    "bad_email",
    "bad_phone",
    "bad_greeting",
    "bad_portal_name",
    "bad_language",
    "unknown_language",
    "bad_theme",
    "unknown_theme",
    "bad_balance",
    "bad_health_path",
    "bad_health_interval",
    "bad_health_status",
    "bad_max_body",
    "bad_requests_per_second",
    "bad_answer_timeout",
    "bad_websocket_origin",
    "bad_answer_field",
    "reserved_answer_field",
    "bad_upstream_ca",
    "ip_address",
    "wildcard",
    "bad_hostname",
    "under_platform",
    "public_suffix",
    "reserved_name",
)
_KINDS: Final[tuple[PictureKind, ...]] = get_args(PictureKind)


class TenantQuery(Paging):
    """Which tenants are listed, and in which order."""

    search: str = Field("", max_length=100, description="Part of an address, a name or a hostname.")
    status: Literal["active", "suspended"] | None = None
    sort: Sorting = Field("slug", description="With `-`, from the end.")


class TenantList(BaseModel):
    """A piece of the list of tenants."""

    items: list[TenantSummary]
    next: str | None


class TenantsEndpoint:
    """Lists, makes and changes tenants. ``public_port`` is the HTTPS port as customers see it."""

    def __init__(self, registry: Registry, *, public_port: int) -> None:
        self._registry = registry
        self._port = public_port

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        return (*self._about_all(), *self._about_one(), *self._about_images())

    def _about_all(self) -> tuple[Operation, ...]:
        return (
            Operation(
                "GET",
                "/tenants",
                Scope.TENANTS_READ,
                self._list,
                "List tenants, or search them",
                query=TenantQuery,
                answer=TenantList,
                fails=("bad_cursor", "bad_search"),
            ),
            Operation(
                "POST",
                "/tenants",
                Scope.TENANTS_MANAGE,
                self._add,
                "Add a tenant; its portal answers at once",
                body=TenantWish,
                answer=TenantTold,
                status=201,
                platform=True,
                creates=True,
                most=_MOST,
                judge=self._judge_new,
                fails=(*_FAULTS, "bad_slug", "409 slug_taken", "409 slug_given_up"),
            ),
        )

    def _about_one(self) -> tuple[Operation, ...]:
        return (
            Operation("GET", _ONE, Scope.TENANTS_READ, self._show, "Show a tenant", answer=TenantTold),
            Operation(
                "PATCH",
                _ONE,
                Scope.TENANTS_WRITE,
                self._change,
                "Change a tenant: what is left out stays as it is",
                body=TenantChange,
                answer=TenantTold,
                versioned=True,
                most=_MOST,
                judge=self._judge,
                fails=(*_FAULTS, "409 claim_state"),
            ),
            Operation(
                "DELETE",
                _ONE,
                Scope.TENANTS_MANAGE,
                self._delete,
                "Delete a tenant with its users, sessions, certificates and hostnames, for good",
                versioned=True,
            ),
            Operation(
                "POST",
                f"{_ONE}/suspend",
                Scope.TENANTS_MANAGE,
                self._suspend,
                "Switch a portal off: its hostnames answer 503",
                answer=TenantTold,
                versioned=True,
            ),
            Operation(
                "POST",
                f"{_ONE}/resume",
                Scope.TENANTS_MANAGE,
                self._resume,
                "Switch a suspended portal on again",
                answer=TenantTold,
                versioned=True,
            ),
        )

    def _about_images(self) -> tuple[Operation, ...]:
        return (
            Operation(
                "PUT",
                _IMAGE,
                Scope.TENANTS_WRITE,
                self._put_image,
                "Upload a logo or favicon: a PNG, JPEG, WebP or SVG file",
                answer=TenantTold,
                versioned=True,
                octets=True,
                most=MAX_UPLOAD,
                fails=("no_such_image", "picture_too_large", "bad_picture", "bad_svg", "svg_too_costly"),
            ),
            Operation(
                "DELETE",
                _IMAGE,
                Scope.TENANTS_WRITE,
                self._delete_image,
                "Take a logo or favicon away",
                answer=TenantTold,
                versioned=True,
                fails=("no_such_image",),
            ),
        )

    async def _list(self, call: Call[None, TenantQuery]) -> Reply:
        asked = call.query
        selection = Selection(
            search=asked.search, status=asked.status, order=asked.sort, only=call.principal.tenant_id
        )
        kind = int if "updated_at" in asked.sort else str
        after = cast("Place", place_of(asked.after, kind, str)) if asked.after is not None else None
        found = await self._registry.page(selection, after=after, most=asked.limit + 1)
        some, cursor = piece(found, asked.limit, selection.place)
        return Reply(TenantList(items=[summary_of(each, self._port) for each in some], next=cursor))

    async def _add(self, call: Call[TenantWish, None]) -> Reply:
        wish = call.body
        record = await self._registry.add(
            wish.portal_address,
            wish.form(),
            actor=call.actor,
            take_over_slug=wish.take_over_portal_address,
        )
        return self._told(record)

    async def _judge_new(self, call: Call[TenantWish, None]) -> None:
        wish = call.body
        take_over = wish.take_over_portal_address
        await self._registry.judge_new(wish.portal_address, wish.form(), take_over_slug=take_over)

    async def _judge(self, call: Call[TenantChange, None]) -> None:
        await self._registry.judge(call.admitted.tenant.slug, call.body.form(), is_new=False)

    async def _show(self, call: Call[None, None]) -> Reply:
        return self._told(call.admitted.record)

    async def _change(self, call: Call[TenantChange, None]) -> Reply:
        form = call.body.form()
        check_change(call.principal, call.admitted.tenant, form)
        return await self._changed(call, form)

    async def _suspend(self, call: Call[None, None]) -> Reply:
        slug = call.admitted.tenant.slug
        return self._told(await self._registry.suspend(slug, actor=call.actor, version=call.version))

    async def _resume(self, call: Call[None, None]) -> Reply:
        slug = call.admitted.tenant.slug
        return self._told(await self._registry.resume(slug, actor=call.actor, version=call.version))

    async def _delete(self, call: Call[None, None]) -> Reply:
        await self._registry.delete(call.admitted.tenant.slug, actor=call.actor, version=call.version)
        return Reply()

    async def _put_image(self, call: Call[bytes, None]) -> Reply:
        kind = _kind(call)
        if not call.body:
            raise BadInput("bad_picture", f"A {kind} is a PNG, JPEG, WebP or SVG file, sent as it is.")
        try:
            return await self._changed(call, _with_picture(kind, call.body))
        except BadInput as fault:
            fault.field = ""  # the whole body is the picture
            raise

    async def _delete_image(self, call: Call[None, None]) -> Reply:
        return await self._changed(call, _with_picture(_kind(call), b""))

    async def _changed(self, call: Call[Any, None], form: TenantForm) -> Reply:
        slug = call.admitted.tenant.slug
        return self._told(await self._registry.change(slug, form, actor=call.actor, version=call.version))

    def _told(self, record: TenantRecord) -> Reply:
        return Reply(told_of(record, self._port), version=record.tenant.version)


def _kind(call: Call[Any, None]) -> PictureKind:
    for kind in _KINDS:
        if kind == call.path["kind"]:
            return kind
    raise NotFound("no_such_image", f"A tenant has these images: {', '.join(_KINDS)}.")


def _with_picture(kind: PictureKind, octets: bytes) -> TenantForm:
    branding = BrandingForm(logo=octets) if kind == "logo" else BrandingForm(favicon=octets)
    return TenantForm(branding=branding)
