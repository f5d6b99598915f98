'''The operators' pages: HTML from the server, one frame, no JavaScript needed.

Writing a page
==============

A page is a class in a module of its subject here, a template in ``console/templates/``, and a line in
``mounting.py``. The frame (``templates/layout.html``) brings the head, the navigation, who is signed in, the
notice and the footer; the page fills the block ``content`` (and ``beside``: what stands beside the heading)::

    class DomainPage(FormPage):
        """``/tenants/{tenant}/domain``."""

        path: ClassVar = "/tenants/{tenant}/domain"   # {tenant}: admitted to it before anything else
        template: ClassVar = "domain.html"
        title: ClassVar = "Domain"                    # the heading; a template's block "title" may say more
        section: ClassVar = "domain"                  # navigation.py; a section is shown once it has a page
        scope: ClassVar = Scope.DOMAINS_READ          # what it takes to see it; else 403
        change: ClassVar = Scope.DOMAINS_WRITE        # what it takes to send the form
        typed: ClassVar = ("hostname", "version")     # shown again after a fault; trimmed
        required: ClassVar = ("hostname",)            # else 422 `hostname_missing` at the field
        said: ClassVar = MappingProxyType({"hostname_taken": "hostname"})   # fault's code -> field
        told: ClassVar = MappingProxyType({"saved": "The hostname is saved."})

        def __init__(self, desk: Desk, registry: Registry) -> None: ...

        async def filled(self, call) -> Mapping[str, str]:       # what stands in the fields at first
        async def facts(self, call) -> Mapping[str, object]:     # what else the template shows
        async def sent(self, call, sent) -> web.Response:        # POST; sent["hostname"], sent.files["file"]
            await self._registry.change(call.admitted.tenant.slug, ..., actor=call.actor)
            return self.done(call, "saved")                      # 303 to ?done=saved: the notice

``Page`` shows something and has no form (``facts``, or ``opened`` for an answer of its own). ``FormPage``
has a form that is sent to its own path. ``Action`` is a button's: a path of its own, no page, ``back`` is
the page it belongs to (whose ``told`` has its sentence); in a template ``{{ pieces.action(csrf_field, csrf,
"/path", "Disable", danger=true, version=3) }}``. ``platform = True`` keeps a page from operators of one
tenant; without ``scope`` it takes nothing but to be signed in; ``strangers = True`` not even that.
``octets`` is how much a form may bring (16 KiB unless it says more; the edge lets 3 MiB through); a form
with files has ``enctype="multipart/form-data"``.

A ``Call`` knows ``principal``, ``actor`` (for the audit), ``me`` (operator and session),
``admitted.tenant`` and ``admitted.record``, ``path`` (what stands in the places of the path),
``address("/tenants/{tenant}/users")``, and the ``request`` (its ``query``).

What goes wrong is raised, never answered by hand:

- ``BadInput``: the form again, 422, each fault at the field by ``said`` or by its own ``field``, else on
  top;
- ``Faulty({"field": Fault(code, sentence)})``: the same, for a page's own judgement;
- ``Conflict``: a page that shows what was typed, 409; one in ``said`` is told at its field. A form that
  changes something carries ``version`` hidden, and its use case compares it (``version_in(sent)``);
- ``NotFound``: the page 404, the same for another's tenant as for none; ``Forbidden``: 403;
- ``Unavailable``: the form again, or the page 503, with Retry-After.

Templates begin with ``{% extends "layout.html" %}`` and write a form so::

    {{ pieces.summary(form) }}
    <form method="post" action="{{ here }}" class="card" novalidate>
      {{ pieces.token(csrf_field, csrf) }}
      {{ pieces.hidden(form, "version") }}
      {{ pieces.field(form, "hostname", "Hostname", hint="billing.mycompany.com", required=true) }}
      <p class="actions"><button>Save changes</button></p>
    </form>

``pieces`` (``templates/pieces.html``) has also area, box, choice, action, badge, copyable, facts, table,
empty, pager; ``{{ seconds | when }}`` writes a time; ``{{ static("console.css") }}`` an address of a file
in ``static/``; ``{% if me.principal.may("tenants:write") %}`` leaves out what somebody may not do (it is
refused all the same). Nothing stands inline: the policy allows no ``style=``, no ``<style>``, no
``<script>`` without ``src``. Styles are in ``static/console.css``: use what is there (card, actions,
second, danger, quiet, badge, notice, warning, number, end) before adding to it.
'''
