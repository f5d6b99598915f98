"""``explain``: the first thing that is wrong, in the order of a request's way."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trustme

from router.certificates.record import CertificateRecord
from router.cli.output import Exit
from router.console.diagnosis import Facts, Fault, Shown, first_wrong
from router.console.inquiry import hostname_in
from router.hostname import Hostname
from router.observe.upstreams import Knocked
from router.tenants.claims import Claim, ClaimState
from router.tenants.rows import TenantRecord
from router.tenants.tenant import Branding, Forwarding, Tenant, Upstream
from tests.cli.conftest import ACME, issue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Shell
    from tests.edge.name_server import NameServer

NOW = 1_700_000_000.0
NAME = Hostname.parse("billing.acme.com")
CLAIM = Claim("clm_1", "tnt_1", "acme", NAME, "external", ClaimState.ACTIVE, "token", None, 0, 0)
TENANT = Tenant("tnt_1", "acme", NAME, Branding("Acme", "#0b6e4f"), (Upstream("http://1.1.1.1:80"),))
GOOD = Facts(
    hostname=NAME,
    platform_domain=Hostname.parse("portal.example"),
    claims=(CLAIM,),
    claim=CLAIM,
    record=TenantRecord(TENANT, (CLAIM,), "x.customers.portal.example", 0, 0),
    shown=Shown("crt_1", (NAME,), int(NOW) + 86_400, covers=True, why="it is the newest"),
    probes=(Knocked("http://1.1.1.1:80", None),),
)
OTHER = replace(CLAIM, id="clm_2", slug="globex", state=ClaimState.PENDING)
SUSPENDED = replace(GOOD.record, tenant=replace(TENANT, status="suspended")) if GOOD.record else None
RESTING = (
    replace(GOOD.record, tenant=replace(TENANT, forwarding=Forwarding(maintenance=True)))
    if GOOD.record
    else None
)
EXPIRED = Shown("crt_1", (NAME,), int(NOW) - 1, covers=True, why="it is the newest")
RSA = CertificateRecord(
    "crt_2", None, "upload", "active", "rsa", "ab", (NAME,), int(NOW) - 9, int(NOW) - 1, int(NOW) - 9
)
HALF_EXPIRED = Shown("crt_1", (NAME,), int(NOW) + 9, covers=True, why="it is the newest", beside=(RSA,))
FOREIGN = Shown("crt_1", ("x.example",), int(NOW) + 1, covers=False, why="it is the newest")
AWAY = (
    Knocked("http://1.1.1.1:80", "Connection refused"),
    Knocked("http://8.8.8.8:80", "no answer in 3 seconds"),
)


def test_nothing_is_wrong_when_nothing_is() -> None:
    """A tenant, a certificate that covers, an upstream that answers."""
    assert first_wrong(GOOD, NOW) is None


@pytest.mark.parametrize(
    ("facts", "code", "words"),
    [
        (replace(GOOD, claim=None, claims=(), record=None), "no_tenant", f"domain add SLUG {NAME}"),
        (replace(GOOD, claim=None, claims=(OTHER, CLAIM), record=None), "claimed_by_several", "globex, acme"),
        (replace(GOOD, claim=OTHER), "claim_not_active", f"domain activate {NAME}"),
        (replace(GOOD, record=SUSPENDED), "tenant_suspended", "tenant resume acme"),
        (replace(GOOD, record=RESTING), "tenant_in_maintenance", "tenant set acme --no-maintenance"),
        (replace(GOOD, shown=None), "no_certificate", "--tenant acme"),
        (replace(GOOD, shown=None, claim=replace(CLAIM, kind="platform")), "no_certificate", "--platform"),
        (replace(GOOD, shown=FOREIGN), "no_certificate", f"covers {NAME}"),
        (replace(GOOD, shown=EXPIRED), "certificate_expired", "2023-11-14"),
        (replace(GOOD, shown=HALF_EXPIRED), "certificate_expired", "2023-11-14"),
        (replace(GOOD, shown=None, file_faults=("acme: no key.",)), "no_certificate", "acme: no key."),
        (
            replace(GOOD, shown=Fault("encryption_key_missing", "No key.")),
            "encryption_key_missing",
            "No key.",
        ),
        (replace(GOOD, probes=()), "upstream_missing", "tenant set acme --upstream"),
        (replace(GOOD, probes=AWAY), "upstream_unreachable", "refused; http://8.8.8.8:80: no answer"),
        # Of several faults, the one that a request meets first.
        (replace(GOOD, claim=OTHER, shown=None, probes=AWAY), "claim_not_active", "pending"),
        (replace(GOOD, shown=EXPIRED, probes=AWAY), "certificate_expired", "successor"),
    ],
)
def test_the_first_fault_is_named_with_what_mends_it(facts: Facts, code: str, words: str) -> None:
    """Tenant before certificate before upstream; the sentence holds the next command."""
    wrong = first_wrong(facts, NOW)
    assert wrong is not None
    assert wrong.code == code
    assert words in wrong.sentence


def test_one_upstream_that_answers_is_enough() -> None:
    """The edge uses the first healthy one."""
    assert first_wrong(replace(GOOD, probes=(AWAY[0], GOOD.probes[0])), NOW) is None


@pytest.fixture
def upstream() -> Iterator[str]:
    """An upstream that accepts connections."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def ready(shell: Shell, authority: trustme.CA, upstream: str, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A tenant whose platform address works, by a wildcard in the certificate folder."""
    monkeypatch.setenv("ROUTER_ALLOW_PRIVATE_UPSTREAMS", "true")
    assert shell(*ACME[:-1], upstream).code == Exit.OK
    (shell.folder / "certs").mkdir()
    issue(authority, shell.folder / "certs", "wild", "*.portal.example")
    return shell


def test_a_working_hostname_is_explained(ready: Shell) -> None:
    """Tenant, claim, certificate and why, upstream, and exit code 0."""
    ran = ready("explain", "ACME.portal.example.", "--json")
    assert (ran.code, ran.answer["wrong"]) == (Exit.OK, None)
    assert ran.answer["tenant"] == {"slug": "acme", "status": "active", "maintenance": False}
    assert ran.answer["claim"]["state"] == "active"
    certificate = ran.answer["certificate"]
    assert certificate["names"] == ["*.portal.example"]
    assert certificate["covers"] is True
    assert certificate["days_left"] > 0
    assert "wild" in certificate["why"]
    assert "wildcard *.portal.example" in certificate["why"]
    assert [each["answers"] for each in ran.answer["upstreams"]] == ["yes"]
    assert "All is well: https://acme.portal.example" in ready("explain", "acme.portal.example").out


def test_an_upload_goes_before_a_file(ready: Shell, authority: trustme.CA) -> None:
    """Which certificate is served, and why this one."""
    chain, key = issue(authority, ready.folder, "own", "acme.portal.example")
    ready("certificate", "upload", chain, key, "--tenant", "acme")
    certificate = ready("explain", "acme.portal.example", "--json").answer["certificate"]
    assert certificate["names"] == ["acme.portal.example"]
    assert "upload of the tenant" in certificate["why"]
    assert "by its own name" in certificate["why"]


def test_both_kinds_of_key_are_told(ready: Shell, authority: trustme.CA) -> None:
    """An RSA certificate beside an ECDSA one is for old clients: it must not run out unseen."""
    for kind in (trustme.KeyType.ECDSA, trustme.KeyType.RSA):
        chain, key = issue(authority, ready.folder, kind.name, "acme.portal.example", kind=kind)
        ready("certificate", "upload", chain, key, "--tenant", "acme")
    certificate = ready("explain", "acme.portal.example", "--json").answer["certificate"]
    (beside,) = certificate["beside"]
    assert {certificate["key_type"], beside["key_type"]} == {"rsa", "ecdsa"}
    out = ready("explain", "acme.portal.example").out
    assert f"rsa: {beside['id']}" in out or f"rsa: {certificate['id']}" in out


def test_where_the_certificate_stands_is_told_as_the_list_tells_it(
    ready: Shell, authority: trustme.CA
) -> None:
    """Held while the hostname is not active, then as far as the workers have it; a file has no such state."""
    assert ready("explain", "acme.portal.example", "--json").answer["certificate"]["state"] is None
    ready("tenant", "set", "acme", "--external-domain", "billing.acme.com")
    chain, key = issue(authority, ready.folder, "own", "billing.acme.com")
    uploaded = ready("certificate", "upload", chain, key, "--tenant", "acme", "--json").answer["id"]
    assert ready("explain", "billing.acme.com", "--json").answer["certificate_waiting"] == uploaded
    assert f"{uploaded} is held" in ready("explain", "billing.acme.com").out
    ready("domain", "activate", "billing.acme.com", "--reason", "by phone")
    answer = ready("explain", "billing.acme.com", "--json").answer
    assert (answer["certificate_waiting"], answer["certificate"]["id"]) == (None, uploaded)
    (listed,) = ready("certificate", "list", "--json").answer
    assert answer["certificate"]["state"] == listed["state"] == "deploying"
    assert answer["certificate"]["workers"] == listed["workers"]


def test_the_way_to_a_working_domain_is_shown_step_by_step(ready: Shell, authority: trustme.CA) -> None:
    """Doing what explain says, one thing after the other, ends with a portal that works."""

    def wrong() -> str | None:
        ran = ready("explain", "billing.acme.com", "--json")
        found = ran.answer["wrong"]
        assert ran.code == (Exit.WRONG if found else Exit.OK)
        return found and str(found["code"])

    assert wrong() == "no_tenant"
    ready("tenant", "set", "acme", "--external-domain", "billing.acme.com")
    assert wrong() == "claim_not_active"
    ready("domain", "activate", "billing.acme.com", "--reason", "by phone")
    assert wrong() == "no_certificate"
    chain, key = issue(authority, ready.folder, "own", "billing.acme.com")
    ready("certificate", "upload", chain, key, "--tenant", "acme")
    assert wrong() is None
    ready("tenant", "suspend", "acme")
    assert wrong() == "tenant_suspended"
    ready("tenant", "resume", "acme")
    ready("tenant", "set", "acme", "--no-external-domain")
    assert wrong() == "no_tenant"


def test_an_upstream_that_is_away_is_named(ready: Shell) -> None:
    """What happened when it was asked for a connection is in the sentence."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    ready("tenant", "set", "acme", "--upstream", f"http://127.0.0.1:{port}")
    answer = ready("explain", "acme.portal.example", "--json").answer
    assert answer["wrong"]["code"] == "upstream_unreachable"
    assert str(port) in answer["wrong"]["sentence"]


@pytest.fixture
def secured(authority: trustme.CA) -> Iterator[str]:
    """An upstream that speaks TLS, by an authority that no system knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                with client, suppress(OSError), context.wrap_socket(client, server_side=True) as talk:
                    talk.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://localhost:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(10)


def test_an_https_upstream_has_to_be_believed(ready: Shell, secured: str, authority: trustme.CA) -> None:
    """A port that is open is not enough: its certificate is judged as the router does, by the tenant's CA."""
    ready("tenant", "set", "acme", "--upstream", secured)
    wrong = ready("explain", "acme.portal.example", "--json").answer["wrong"]
    assert wrong["code"] == "upstream_unreachable"
    assert "certificate cannot be believed" in wrong["sentence"]
    bundle = ready.folder / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    ready("tenant", "set", "acme", "--upstream-ca", str(bundle))
    assert ready("explain", "acme.portal.example", "--json").answer["wrong"] is None


def test_an_upstream_that_speaks_no_tls_is_told_from_one_that_is_away(ready: Shell, upstream: str) -> None:
    """What is wrong is TLS, or the time it takes, not the port."""
    ready("tenant", "set", "acme", "--upstream", upstream.replace("http:", "https:"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTER_CONNECT_TIMEOUT", "0.3")
        wrong = ready("explain", "acme.portal.example", "--json").answer["wrong"]
    assert "no answer in 0.3 seconds" in wrong["sentence"]


def test_a_name_is_judged_address_by_address(ready: Shell, upstream: str, name_servers: NameServer) -> None:
    """As the edge does it: one forbidden address among others is passed over, alone it is the fault."""
    ready("tenant", "set", "acme", "--upstream", upstream.replace("127.0.0.1", "erp.invalid"))
    name_servers.records["erp.invalid."] = ["A 169.254.169.254 60", "A 127.0.0.1 60"]
    assert ready("explain", "acme.portal.example", "--json").answer["wrong"] is None
    name_servers.records["erp.invalid."] = ["A 169.254.169.254 60"]
    wrong = ready("explain", "acme.portal.example", "--json").answer["wrong"]
    assert wrong["code"] == "upstream_unreachable"
    assert "metadata service" in wrong["sentence"]
    name_servers.records.clear()
    wrong = ready("explain", "acme.portal.example", "--json").answer["wrong"]
    assert "erp.invalid has no address" in wrong["sentence"]


def test_a_name_whose_servers_do_not_answer_is_told(ready: Shell) -> None:
    """That is another fault than a wrong name, and not the backend's."""
    ready("tenant", "set", "acme", "--upstream", "http://erp.invalid:80")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ROUTER_RESOLVERS", f"127.0.0.1:{silent.getsockname()[1]}")
            patch.setenv("ROUTER_CONNECT_TIMEOUT", "0.3")
            wrong = ready("explain", "acme.portal.example", "--json").answer["wrong"]
    assert "erp.invalid" in wrong["sentence"]
    assert "name servers do not answer" in wrong["sentence"]


def test_maintenance_is_told(ready: Shell) -> None:
    """Why a portal answers 503, and how it ends; the rest is looked at all the same."""
    ready("tenant", "set", "acme", "--maintenance")
    ran = ready("explain", "acme.portal.example", "--json")
    assert (ran.code, ran.answer["wrong"]["code"]) == (Exit.WRONG, "tenant_in_maintenance")
    assert ran.answer["tenant"]["maintenance"] is True
    assert [each["answers"] for each in ran.answer["upstreams"]] == ["yes"]
    assert "acme (active, in maintenance)" in ready("explain", "acme.portal.example").out


def test_a_socket_is_asked_too(ready: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same rules: whether it answers, and whether it may be asked at all."""
    path = str(ready.folder / "erp.sock")
    ready("tenant", "set", "acme", "--upstream", f"unix:{path}")
    assert "No such file" in ready("explain", "acme.portal.example", "--json").answer["wrong"]["sentence"]
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(path)
        listening.listen()
        assert ready("explain", "acme.portal.example", "--json").answer["wrong"] is None
        monkeypatch.setenv("ROUTER_ALLOW_PRIVATE_UPSTREAMS", "false")
        wrong = ready("explain", "acme.portal.example", "--json").answer["wrong"]
    assert "socket is private" in wrong["sentence"]


def test_the_platforms_upstreams_are_asked_where_a_tenant_has_none(
    ready: Shell, upstream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Explain follows the way of a request: own upstreams, else the default ones, else none."""
    monkeypatch.setenv("ROUTER_DEFAULT_UPSTREAMS", f"{upstream}/app")
    ready("tenant", "set", "acme", "--no-upstream")
    ran = ready("explain", "acme.portal.example", "--json")
    assert ran.answer["upstreams"] == [{"url": f"{upstream}/app", "answers": "yes"}]
    assert ran.code == Exit.OK
    monkeypatch.delenv("ROUTER_DEFAULT_UPSTREAMS")
    ran = ready("explain", "acme.portal.example", "--json")
    assert (ran.code, ran.answer["wrong"]["code"]) == (Exit.WRONG, "upstream_missing")


def test_an_upstream_that_became_private_is_not_asked(ready: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule of saving is the rule of connecting: the settings decide at both times (THREATS 29)."""
    monkeypatch.setenv("ROUTER_ALLOW_PRIVATE_UPSTREAMS", "false")
    wrong = ready("explain", "acme.portal.example", "--json").answer["wrong"]
    assert wrong["code"] == "upstream_unreachable"
    assert "private address" in wrong["sentence"]


def test_a_file_that_was_not_taken_is_told(ready: Shell) -> None:
    """A bad file in the certificate folder is reported where an operator looks."""
    (ready.folder / "certs" / "broken.pem").write_text("junk")
    (told,) = ready("explain", "acme.portal.example", "--json").answer["files_not_taken"]
    assert told.startswith("broken")


def test_a_folder_that_cannot_be_read_is_told(ready: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not an empty one: the certificate that is missing may be in it."""
    path = ready.folder / "certs.zip"
    path.touch()
    monkeypatch.setenv("ROUTER_CERTS_DIR", str(path))
    answer = ready("explain", "acme.portal.example", "--json").answer
    assert answer["wrong"]["code"] == "no_certificate"
    assert f"{path}: it cannot be read" in answer["wrong"]["sentence"]


def test_a_lost_encryption_key_is_one_clear_fault(ready: Shell, authority: trustme.CA) -> None:
    """A certificate that cannot be opened is explained, not a crash."""
    chain, key = issue(authority, ready.folder, "own", "acme.portal.example")
    ready("certificate", "upload", chain, key, "--tenant", "acme")
    (ready.folder / "data" / "encryption.key").unlink()
    ran = ready("explain", "acme.portal.example", "--json")
    assert (ran.code, ran.answer["wrong"]["code"]) == (Exit.WRONG, "encryption_key_missing")


@pytest.mark.parametrize(
    "pasted",
    [
        "https://acme.portal.example",
        "HTTPS://Acme.Portal.Example:443/orders?id=1#top",
        "http://acme.portal.example./",
        "acme.portal.example:8443",
        " acme.portal.example/x ",
        "acme.portal.example?x",
    ],
)
def test_an_address_is_taken_as_it_is_pasted(pasted: str) -> None:
    """From a browser's address bar, a ticket or a log; the hostname is what counts."""
    assert hostname_in(pasted) == "acme.portal.example"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "..",
        "127.0.0.1",
        "https://",
        "https://127.0.0.1/",
        "ftp://a.example",
        "https://me@a.example",
        "a b",
    ],
)
def test_what_is_no_hostname_is_bad_input(host: str, shell: Shell) -> None:
    """Exit code 3, not 1: nothing could be looked for."""
    ran = shell("explain", host, "--json")
    assert (ran.code, ran.error) == (Exit.BAD_INPUT, "bad_hostname")


def test_explain_as_a_process(ready: Shell) -> None:
    """The real program: one JSON document, nothing on standard error, and its exit code."""
    ran = ready.process("explain", "nobody.portal.example", "--json")
    assert (ran.code, ran.err) == (Exit.WRONG, "")
    assert ran.answer["wrong"]["code"] == "no_tenant"


def test_the_admin_hostname_is_the_apis(shell: Shell, authority: trustme.CA) -> None:
    """It is no tenant's and needs no upstream: only a certificate."""
    ran = shell("explain", "admin.portal.example", "--json")
    assert (ran.code, ran.answer["wrong"]["code"], ran.answer["api"]) == (Exit.WRONG, "no_certificate", True)
    shell(
        "certificate", "upload", *issue(authority, shell.folder, "wildcard", "*.portal.example"), "--platform"
    )
    ran = shell("explain", "https://admin.portal.example/api/v1")
    assert ran.code == Exit.OK
    assert "the API answers here" in ran.out


def test_what_becomes_of_a_path_is_told(ready: Shell, authority: trustme.CA) -> None:
    """For each kind of visitor, with --path; a path that is none is bad input."""
    ran = ready("explain", "acme.portal.example", "--path", "/orders", "--json")
    assert ran.answer["decisions"][0]["does"] == "to_https"
    ran = ready("explain", "acme.portal.example", "--path", "/orders")
    assert "anybody, by plain HTTP: is sent to the same over https (308)" in ran.out
    assert "decisions" not in ready("explain", "acme.portal.example", "--json").answer
    assert ready("explain", "acme.portal.example", "--path", "orders").code == Exit.BAD_INPUT
