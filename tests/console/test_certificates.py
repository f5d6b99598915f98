"""Certificates by the API: judged, taken in, shown, rolled back, deleted; a tenant's and the platform's."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from router.console.scopes import Role, Scope
from tests.certificates.maker import INTERMEDIATE, Made, make, pem_key

if TYPE_CHECKING:
    from tests.console.stand import Stand

HOST = "acme.portal.example"
THEIRS = "tenants/acme/certificates"
LEAF = make(HOST, issuer=INTERMEDIATE, slot=11)
LATER = make(HOST, issuer=INTERMEDIATE, slot=12, days=(-1, 200))
WILDCARD = make("*.portal.example", issuer=INTERMEDIATE, slot=13)


@pytest.fixture
async def stand(stand: Stand) -> Stand:
    """Acme's own operator calls."""
    await stand.call_as(Role.TENANT_OPERATOR, stand.acme)
    return stand


def pem(made: Made, **more: str) -> dict[str, str]:
    """An upload as PEM, with its chain."""
    chain = (made.pem + INTERMEDIATE.pem).decode()
    return {"certificate": chain, "key": made.key_pem.decode()} | more


def p12(made: Made, phrase: bytes) -> str:
    """An upload as PKCS#12."""
    key: Any = made.key
    locked = BestAvailableEncryption(phrase)
    octets = pkcs12.serialize_key_and_certificates(
        b"x", key, made.certificate, [INTERMEDIATE.certificate], locked
    )
    return base64.b64encode(octets).decode()


async def test_a_dry_run_stores_nothing(stand: Stand) -> None:
    """The verdict: names, chain, what it would serve and replace, and warnings."""
    answer = await stand.billing.call("POST", f"{THEIRS}/check", pem(LEAF))
    assert answer.status == 200
    verdict = answer.data
    assert (verdict["names"], verdict["serves"], verdict["not_covered"]) == ([HOST], [HOST], [])
    assert len(verdict["chain"]) == 2
    assert verdict["chain"][0]["issuer"] == verdict["chain"][1]["subject"]
    assert (await stand.billing.call("GET", THEIRS)).data == {"items": [], "next": None}


async def test_an_upload_is_taken_in(stand: Stand) -> None:
    """201; it is listed and shown, and its chain can be had; its key by nobody."""
    made = await stand.billing.call("POST", THEIRS, pem(LEAF))
    assert made.status == 201
    told = made.data
    assert (told["names"], told["hostnames"], told["key_type"]) == ([HOST], [HOST], "ecdsa")
    assert told["state"] == "deploying"  # no worker of this stand reports itself
    listed = (await stand.billing.call("GET", THEIRS)).data["items"]
    assert [each["id"] for each in listed] == [told["id"]]
    shown = await stand.billing.call("GET", f"{THEIRS}/{told['id']}")
    assert shown.data["chain"] == told["chain"]
    chain = await stand.billing.call("GET", f"{THEIRS}/{told['id']}/chain")
    assert chain.headers["Content-Type"] == "application/pem-certificate-chain"
    assert chain.body == LEAF.pem + INTERMEDIATE.pem
    for answer in (made, shown, chain):
        assert b"PRIVATE KEY" not in answer.body


async def test_a_pkcs12_file_with_its_pass_phrase(stand: Stand) -> None:
    """As base64; line ends in it do not matter."""
    upload = {"pkcs12": p12(LEAF, b"correct horse"), "passphrase": "correct horse"}
    upload["pkcs12"] = "\n".join([upload["pkcs12"][:64], upload["pkcs12"][64:]])
    assert (await stand.billing.call("POST", THEIRS, upload)).status == 201


@pytest.mark.parametrize("path", [THEIRS, f"{THEIRS}/check"])
@pytest.mark.parametrize(
    ("upload", "field", "code"),
    [
        ({}, "certificate", "missing_field"),
        ({"certificate": "x", "pkcs12": "AAAA"}, "pkcs12", "not_both"),
        ({"pkcs12": "***"}, "pkcs12", "bad_base64"),
        ({"pkcs12": "AAAA"}, "pkcs12", "unreadable"),
        ({"pkcs12": p12(LEAF, b"right"), "passphrase": "wrong"}, "passphrase", "wrong_passphrase"),
        ({"certificate": ""}, "certificate", "empty"),
        ({"certificate": LEAF.pem.decode()}, "key", "no_private_key"),
        (pem(LEAF) | {"key": LATER.key_pem.decode()}, "key", "key_mismatch"),
        (pem(LEAF) | {"key": pem_key(LEAF.key, b"x").decode()}, "passphrase", "passphrase_needed"),
        (pem(make(HOST, issuer=INTERMEDIATE, days=(-9, -1))), "certificate", "expired"),
        (pem(make("www.example.com", issuer=INTERMEDIATE)), "certificate", "hostname_not_covered"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_refused(
    stand: Stand, path: str, upload: dict[str, str], field: str, code: str
) -> None:
    """Each with its code and a sentence, by the field; nothing is stored."""
    answer = await stand.billing.call("POST", path, upload)
    [error] = answer.data["errors"]
    assert (answer.status, answer.code) == (422, code)
    assert (error["pointer"], error["code"]) == (f"#/{field}", code)
    assert b"PRIVATE" not in answer.body.replace(b"BEGIN PRIVATE KEY", b"")
    assert (await stand.billing.call("GET", THEIRS)).data["items"] == []


async def test_a_rollback_and_back(stand: Stand) -> None:
    """What a certificate took the place of serves again; the same again goes forth."""
    first = (await stand.billing.call("POST", THEIRS, pem(LEAF))).data["id"]
    made = (await stand.billing.call("POST", THEIRS, pem(LATER))).data
    assert made["replaces"] == [first]
    second = made["id"]
    assert (await stand.billing.call("GET", f"{THEIRS}/{first}")).data["superseded_by"] == second
    back = await stand.billing.call("POST", f"{THEIRS}/{second}/rollback")
    assert [each["id"] for each in back.data["items"]] == [first]
    found = (await stand.billing.call("GET", f"{THEIRS}?state=superseded")).data["items"]
    assert [each["id"] for each in found] == [second]
    forth = await stand.billing.call("POST", f"{THEIRS}/{first}/rollback")
    assert [each["id"] for each in forth.data["items"]] == [second]


async def test_there_is_nothing_to_roll_back_to(stand: Stand) -> None:
    """409 for the first of all."""
    only = (await stand.billing.call("POST", THEIRS, pem(LEAF))).data["id"]
    answer = await stand.billing.call("POST", f"{THEIRS}/{only}/rollback")
    assert (answer.status, answer.code) == (409, "nothing_to_roll_back")


async def test_the_last_one_is_kept_unless_that_is_meant(stand: Stand) -> None:
    """An active hostname's visitors would be turned away."""
    only = (await stand.billing.call("POST", THEIRS, pem(LEAF))).data["id"]
    answer = await stand.billing.call("DELETE", f"{THEIRS}/{only}")
    assert (answer.status, answer.code) == (409, "last_certificate")
    assert (await stand.billing.call("DELETE", f"{THEIRS}/{only}?even_the_last=true")).status == 204
    assert (await stand.billing.call("GET", f"{THEIRS}/{only}")).code == "no_such_certificate"


async def test_the_list_goes_on_where_it_ended(stand: Stand) -> None:
    """The newest first, however many were made in one second."""
    for slot in range(5):
        await stand.billing.call("POST", THEIRS, pem(make(HOST, issuer=INTERMEDIATE, slot=20 + slot)))
    whole = (await stand.billing.call("GET", THEIRS)).data["items"]
    assert len(whole) == 5
    for query in ("limit=2", "limit=2&state=superseded"):
        found, page = [], (await stand.billing.call("GET", f"{THEIRS}?{query}")).data
        while page["next"]:
            found += page["items"]
            page = (await stand.billing.call("GET", f"{THEIRS}?{query}&after={page['next']}")).data
        found += page["items"]
        wanted = [each for each in whole if "state" not in query or each["state"] == "superseded"]
        assert found == wanted


async def test_the_platforms_own(stand: Stand) -> None:
    """Under a path of their own, for nobody who is bound to a tenant."""
    answer = await stand.billing.call("POST", "certificates", pem(WILDCARD))
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    await stand.call_as(Role.PLATFORM_OPERATOR)
    made = await stand.billing.call("POST", "certificates", pem(WILDCARD))
    assert (made.status, made.data["names"]) == (201, ["*.portal.example"])
    assert len((await stand.billing.call("GET", "certificates")).data["items"]) == 1
    assert (await stand.billing.call("GET", THEIRS)).data["items"] == []
    assert (await stand.billing.call("GET", f"certificates/{made.data['id']}")).status == 200


async def test_another_owners_certificate_is_not_there(stand: Stand) -> None:
    """Not by its id below one's own tenant, whoever it belongs to; nor below the platform's."""
    await stand.call_as(Role.PLATFORM_OPERATOR)
    leaf = make("globex.portal.example", issuer=INTERMEDIATE, slot=31)
    globex = (await stand.billing.call("POST", "tenants/globex/certificates", pem(leaf))).data["id"]
    platforms = (await stand.billing.call("POST", "certificates", pem(WILDCARD))).data["id"]
    assert (await stand.billing.call("GET", f"certificates/{globex}")).status == 404
    await stand.call_as(Role.TENANT_OPERATOR, stand.acme)
    for which in (globex, platforms, "crt_0", "check", "a%00"):
        for method, rest in (("GET", ""), ("GET", "/chain"), ("POST", "/rollback"), ("DELETE", "")):
            answer = await stand.billing.call(method, f"{THEIRS}/{which}{rest}")
            assert answer.status == 404, (method, which, rest)
    await stand.call_as(Role.PLATFORM_OPERATOR)
    assert (await stand.billing.call("GET", f"tenants/globex/certificates/{globex}")).status == 200


async def test_a_reader_reads(stand: Stand) -> None:
    """And tries nothing, even dry."""
    only = (await stand.billing.call("POST", THEIRS, pem(LEAF))).data["id"]
    stand.billing.token = await stand.new_token(stand.acme, Scope.CERTIFICATES_READ)
    assert (await stand.billing.call("GET", f"{THEIRS}/{only}")).status == 200
    for method, path in (("POST", THEIRS), ("POST", f"{THEIRS}/check"), ("DELETE", f"{THEIRS}/{only}")):
        assert (await stand.billing.call(method, path, pem(LATER))).status == 403
