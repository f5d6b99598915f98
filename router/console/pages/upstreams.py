"""``/tenants/{tenant}/upstreams``: how each upstream answers, asked as the page is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from router.console.pages.page import Page
from router.console.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.console.pages.page import Call, Desk
    from router.console.use_cases import Look


class UpstreamsPage(Page):
    """A tenant's upstreams."""

    path: ClassVar = "/tenants/{tenant}/upstreams"
    template: ClassVar = "upstreams.html"
    title: ClassVar = "Upstreams"
    section: ClassVar = "upstreams"
    scope: ClassVar = Scope.TENANTS_READ

    def __init__(self, desk: Desk, look: Look) -> None:
        super().__init__(desk)
        self._look = look

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Ask them."""
        tenant = call.admitted.tenant
        return {
            "upstreams": await self._look(tenant),
            "own": bool(tenant.upstreams),
            "forwarding": tenant.forwarding,
        }
