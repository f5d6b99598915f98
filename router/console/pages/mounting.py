"""Which pages there are: each is made here with the use cases that it needs, and mounted at its path."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import aiohttp_jinja2
from aiohttp import web

from router.console.pages.account import AccountPage, EndOtherSessionsAction, EndSessionAction
from router.console.pages.audit import AuditPage, TenantAuditPage
from router.console.pages.branding import BrandingPage
from router.console.pages.certificate import certificate_pages
from router.console.pages.domain import DomainPage
from router.console.pages.domain_actions import domain_actions
from router.console.pages.entrance import HomePage, SignInPage, SignOutAction, WelcomePage
from router.console.pages.front import Front
from router.console.pages.operators import operator_pages
from router.console.pages.overview import ExplainPage, OverviewPage
from router.console.pages.page import Desk
from router.console.pages.rendering import Pages, environment
from router.console.pages.settings import SettingsCheck, SettingsPage, SettingsPreview, TenantPage
from router.console.pages.static_files import STATIC, StaticFiles
from router.console.pages.tenants import (
    DeleteTenantPage,
    NewTenantPage,
    ResumeAction,
    StatePage,
    SuspendAction,
    TenantsPage,
)
from router.console.pages.tokens import token_pages
from router.console.pages.traffic import TrafficPage
from router.console.pages.upstreams import UpstreamsPage
from router.console.pages.users import user_pages
from router.console.pages.webhooks import webhook_pages
from router.forms import Csrf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import jinja2

    from router.console.access import Access
    from router.console.pages.page import Page
    from router.console.use_cases import UseCases


def pages_of(
    desk: Desk, use_cases: UseCases, link_address: Callable[[str], str], public_port: int
) -> Sequence[Page]:
    """Make every page.

    ``link_address`` says where the token of an operator's link is opened, ``public_port`` is the HTTPS port
    as customers see it.
    """
    sign_in, registry = use_cases.operator_sign_in, use_cases.registry
    return (
        HomePage(desk),
        SignInPage(desk, sign_in),
        SignOutAction(desk),
        WelcomePage(desk, sign_in),
        AccountPage(desk, sign_in),
        OverviewPage(desk, use_cases.attention, use_cases.traffic),
        ExplainPage(desk, use_cases.explainer),
        TenantsPage(desk, registry, public_port=public_port),
        NewTenantPage(desk, registry),
        TenantPage(desk),
        SettingsPage(desk, registry, public_port=public_port),
        SettingsCheck(desk, registry),
        SettingsPreview(desk, use_cases.preview),
        DomainPage(desk, use_cases.domains, registry, use_cases.vault, use_cases.certificate_folder),
        *domain_actions(desk, use_cases.domains, registry),
        StatePage(desk),
        SuspendAction(desk, registry),
        ResumeAction(desk, registry),
        DeleteTenantPage(desk, registry),
        *user_pages(desk, use_cases.users, use_cases.sessions, use_cases.invitations),
        *certificate_pages(desk, use_cases),
        BrandingPage(desk, registry),
        *operator_pages(desk, use_cases.operators, link_address),
        *token_pages(desk, use_cases.tokens),
        *webhook_pages(desk, use_cases.webhooks),
        TrafficPage(desk, use_cases.traffic),
        UpstreamsPage(desk, use_cases.look_at_upstreams),
        AuditPage(desk, use_cases.audit_trail),
        TenantAuditPage(desk, use_cases.audit_trail),
        EndSessionAction(desk),
        EndOtherSessionsAction(desk),
    )


def mount_pages(
    application: web.Application,
    use_cases: UseCases,
    access: Access,
    *,
    csrf_key: bytes,
    link_address: Callable[[str], str],
    public_port: int,
) -> None:
    """Mount every page, and what stands before them. ``csrf_key`` is the same on every worker."""
    csrf, (static, templates), mounted = Csrf(csrf_key), _files(), set[str]()
    shown = Pages(csrf, mounted)
    desk = Desk(shown, csrf, use_cases.operator_sessions, access)
    pages = pages_of(desk, use_cases, link_address, public_port)
    mounted |= {page.section for page in pages}
    application[aiohttp_jinja2.APP_KEY] = templates
    application.middlewares.append(Front(shown).answer)
    application.add_routes([route for page in pages for route in page.routes()])
    application.add_routes([web.get(STATIC + "{name}", static.show)])


@cache
def _files() -> tuple[StaticFiles, jinja2.Environment]:
    """Read what pages are made of: they are part of the package, and the same for every application."""
    static = StaticFiles()
    return static, environment(static)
