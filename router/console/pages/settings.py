"""*Customer access settings*: the product's form for a tenant, and what goes with it.

One rule judges what was typed, the registry's, and one place says what it would change (:func:`changes_in`):
for the page that asks before it saves, and for the script that tells while one types.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from aiohttp import web
from aiohttp_jinja2 import render_string

from router.behind_edge import see_other
from router.console.access import check
from router.console.pages.page import Fault, Faulty, Form, FormPage, Page, version_in
from router.console.scopes import Scope
from router.errors import BadInput, Conflict
from router.hostname import port_suffix
from router.tenants.claims import SERVED
from router.tenants.entry import wanted_claim
from router.tenants.form import TenantForm
from router.tenants.tenant import parse_colour

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.console.pages.page import Call, Desk
    from router.console.pages.uploads import Sent
    from router.console.use_cases import Preview, Scheme
    from router.tenants.form import Judged
    from router.tenants.registry import Registry
    from router.tenants.rows import TenantRecord

SETTINGS: Final = "/tenants/{tenant}/settings"

_FIELDS: Final = ("external", "external_domain", "theme_colour", "allow_registration")
_LABELS: Final = MappingProxyType(
    {
        "external": "Use external sub-domain",
        "external_domain": "Hostname",
        "theme_colour": "Theme colour",
        "allow_registration": "Allow customer registration",
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """One field that would be saved: what it is and what it becomes; ``meaning`` is what comes of that."""

    label: str
    before: str
    after: str
    meaning: str = ""
    colours: bool = False


class TenantPage(Page):
    """``/tenants/{tenant}``: leads to the settings."""

    path: ClassVar = "/tenants/{tenant}"
    template: ClassVar = ""
    title: ClassVar = ""
    scope: ClassVar = Scope.TENANTS_READ

    async def opened(self, call: Call) -> web.Response:
        """Lead on."""
        return see_other(call.address(SETTINGS))


class SettingsPage(FormPage):
    """``/tenants/{tenant}/settings``. ``public_port`` is the HTTPS port as customers see it.

    What is sent is judged, and shown once more as what it changes, before it is saved; unless the page's own
    script has shown that already (``confirmed``).
    """

    path: ClassVar = SETTINGS
    template: ClassVar = "settings.html"
    title: ClassVar = "Customer access settings"
    section: ClassVar = "settings"
    scope: ClassVar = Scope.TENANTS_READ
    change: ClassVar = Scope.TENANTS_WRITE
    typed: ClassVar = ("version", *_FIELDS)
    required: ClassVar = ("theme_colour",)
    told: ClassVar = MappingProxyType(
        {
            "saved": "The settings are saved, and apply at once.",
            "same": "That is how it is already: there is nothing to save.",
            "added": "The tenant is added, and its portal answers. Here is how customers come in.",
        }
    )

    def __init__(self, desk: Desk, registry: Registry, *, public_port: int) -> None:
        super().__init__(desk)
        self._registry = registry
        self._port = port_suffix(public_port)

    async def filled(self, call: Call) -> Mapping[str, str]:
        """Fill in the settings as they are."""
        return filled_in(call.admitted.record)

    async def form_facts(self, call: Call, form: Form) -> Mapping[str, object]:
        """Say where the portal is, which record its own hostname needs, and how the page would look."""
        record = call.admitted.record
        platform = next(str(claim.hostname) for claim in record.claims if claim.kind == "platform")
        return {
            "record": record,
            "portal": f"https://{record.tenant.hostname}{self._port}",
            "platform": f"https://{platform}{self._port}",
            "wanted": wanted_claim(record.claims),
            "editable": call.principal.may(Scope.TENANTS_WRITE),
            "shown": _shown(form, record),
            "mounted": self._desk.pages.mounted,
        }

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Save what was shown, or show what would be saved."""
        record, version = call.admitted.record, version_in(sent)
        typed = Form({name: sent[name] for name in self.typed})
        if sent["back"]:
            return await self.page(call, typed)
        if version != record.tenant.version:
            raise Conflict("changed_meanwhile", "Somebody else changed it meanwhile: look at it again first.")
        wish = wished(typed, record)
        judged = await self._registry.judge(record.tenant.slug, wish, is_new=False)
        changes = changes_in(record, judged)
        if not changes:
            return self.done(call, "same")
        if judged.wishes_external:
            check(call.principal, Scope.DOMAINS_WRITE)
        if sent["confirmed"] != "yes":
            facts = {"form": typed, "changes": changes, **await self.form_facts(call, typed)}
            return self.render(call, facts, template="settings_confirm.html")
        await self._registry.change(record.tenant.slug, wish, actor=call.actor, version=version)
        return self.done(call, "saved")

    def conflict(self, call: Call, form: Form, fault: Conflict) -> web.Response:
        """Tell what was typed by the names that the form has for it."""
        typed = {_LABELS[name]: form.value(name) for name in _FIELDS if form.value(name)}
        facts = {
            "fault": Fault(fault.code, fault.sentence),
            "typed": typed,
            "back": call.address(self.path),
        }
        return self.render(call, facts, template="conflict.html", status=409)


class SettingsCheck(Page):
    """``…/settings/check``: what would come of what is typed so far, for the page's script; saves nothing."""

    path: ClassVar = SETTINGS + "/check"
    template: ClassVar = "settings_changes.html"
    title: ClassVar = ""
    scope: ClassVar = Scope.TENANTS_WRITE

    def __init__(self, desk: Desk, registry: Registry) -> None:
        super().__init__(desk)
        self._registry = registry

    async def opened(self, call: Call) -> web.Response:
        """Answer with the faults by field, and the changes as the page shows them."""
        record = call.admitted.record
        form = Form({name: call.request.query.get(name, "").strip()[:400] for name in _FIELDS})
        try:
            judged = await self._registry.judge(record.tenant.slug, wished(form, record), is_new=False)
        except (BadInput, Faulty) as fault:
            return web.json_response({"faults": _by_field(fault), "changes": ""})
        changes = changes_in(record, judged)
        shown = render_string(self.template, call.request, {"changes": changes}) if changes else ""
        return web.json_response({"faults": {}, "changes": shown})


class SettingsPreview(Page):
    """``…/settings/preview``: the sign-in page as it would be, in one scheme, to stand in a frame."""

    path: ClassVar = SETTINGS + "/preview"
    template: ClassVar = ""
    title: ClassVar = ""
    scope: ClassVar = Scope.TENANTS_READ

    def __init__(self, desk: Desk, preview: Preview) -> None:
        super().__init__(desk)
        self._preview = preview

    async def opened(self, call: Call) -> web.Response:
        """Render what is typed, as far as it is any good, over what is saved."""
        query, tenant = call.request.query, call.admitted.tenant
        scheme: Scheme = "dark" if query.get("scheme") == "dark" else "light"
        form = Form({name: query.get(name, "") for name in _FIELDS})
        colour = _shown(form, call.admitted.record)["theme_colour"]
        if "allow_registration" in query:
            tenant = replace(tenant, allow_registration=query["allow_registration"] == "yes")
        tenant = replace(tenant, branding=replace(tenant.branding, theme_colour=colour))
        text, policy = await self._preview(tenant, scheme)
        own = {"Content-Security-Policy": policy, "X-Frame-Options": "SAMEORIGIN"}
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=own)


def filled_in(record: TenantRecord) -> dict[str, str]:
    """Spell a tenant as its form holds it."""
    tenant, wanted = record.tenant, wanted_claim(record.claims)
    return {
        "version": str(tenant.version),
        "external": "yes" if wanted is not None else "",
        "external_domain": str(wanted.hostname) if wanted is not None else "",
        "theme_colour": tenant.branding.theme_colour,
        "allow_registration": "yes" if tenant.allow_registration else "",
    }


def wished(form: Form, record: TenantRecord) -> TenantForm:
    """Read what the form wishes for. Raises ``Faulty`` for a box that is ticked without a hostname."""
    before = filled_in(record)
    hostname = form.value("external_domain") if form.value("external") == "yes" else ""
    if form.value("external") == "yes" and not hostname:
        sentence = "Enter the hostname that the portal is to answer at, or untick the box."
        raise Faulty({"external_domain": Fault("external_domain_missing", sentence)})
    # A hostname that is wanted already is left alone: its claim may be on its way.
    same = hostname.rstrip(".").lower() == before["external_domain"]
    return TenantForm(
        theme_colour=form.value("theme_colour"),
        external_domain=None if same else hostname,
        allow_registration=form.value("allow_registration") == "yes",
    )


def changes_in(record: TenantRecord, judged: Judged) -> Sequence[Change]:
    """Say field by field what saving would change, in the order of the form."""
    tenant, columns = record.tenant, judged.columns
    changes = []
    if judged.wishes_external and (moved := _moved(record, judged)) is not None:
        changes.append(moved)
    if columns["theme_colour"] != tenant.branding.theme_colour:
        before, after = tenant.branding.theme_colour, columns["theme_colour"]
        changes.append(Change(_LABELS["theme_colour"], before, after, colours=True))
    if columns["allow_registration"] != tenant.allow_registration:
        changes.append(_registration(allowed=columns["allow_registration"]))
    return changes


def _moved(record: TenantRecord, judged: Judged) -> Change | None:
    wanted = wanted_claim(record.claims)
    before = str(wanted.hostname) if wanted is not None else ""
    after = str(judged.external or "")
    if before == after:
        return None
    serving = [c.hostname for c in record.claims if c.kind == "external" and c.state in SERVED]
    if after and serving:
        meaning = f"{serving[0]} goes on answering until {after} is found to be yours, and is given up then."
    elif after:
        meaning = f"The portal answers at {after} as soon as its DNS record is found."
    else:
        platform = next(claim.hostname for claim in record.claims if claim.kind == "platform")
        meaning = f"{before} is given up and stops answering at once; customers use {platform}."
    return Change(_LABELS["external"], before or "no", after or "no", meaning)


def _registration(*, allowed: bool) -> Change:
    meaning = (
        "Every invoice e-mail tells customers from now on where the portal is and how to register."
        if allowed
        else "Invoice e-mails say nothing of the portal any more; people come in by invitation only."
    )
    before, after = ("no", "yes") if allowed else ("yes", "no")
    return Change(_LABELS["allow_registration"], before, after, meaning)


def _shown(form: Form, record: TenantRecord) -> dict[str, str]:
    """Say what the preview is asked for: what is typed, and what is saved where that is no good."""
    try:
        colour = parse_colour(form.value("theme_colour"))
    except BadInput:
        colour = record.tenant.branding.theme_colour
    return {"theme_colour": colour, "allow_registration": form.value("allow_registration") or "no"}


def _by_field(fault: BadInput | Faulty) -> dict[str, dict[str, str]]:
    if isinstance(fault, Faulty):
        return {name: {"code": each.code, "sentence": each.sentence} for name, each in fault.faults.items()}
    return {each.field: {"code": each.code, "sentence": each.sentence} for each in fault.faults}
