"""How a tenant's traffic is forwarded: what is read in of what operators type, and how it is stored."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, fields, replace
from typing import Any, get_args

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from router.edge.headers import ANSWER_VERDICTS, Kind
from router.errors import BadInput
from router.tenants.forwarding import (
    MAX_ANSWER_FIELDS,
    MAX_BODY,
    MAX_UPSTREAM_CA,
    MAX_WEBSOCKET_ORIGINS,
    ForwardingForm,
    judge_forwarding,
    parse_answer_fields,
    parse_size,
    parse_upstream_ca,
    parse_websocket_origins,
    read_forwarding,
    stored_forwarding,
)
from router.tenants.tenant import Balance, Forwarding


def judged(**typed: Any) -> dict[str, Any]:  # noqa: ANN401 - any field, as typed
    """What comes of a form."""
    return judge_forwarding(ForwardingForm(**typed))


def code_of(**typed: Any) -> str:  # noqa: ANN401 - any field, as typed
    """The code by which a form is refused."""
    with pytest.raises(BadInput) as fault:
        judged(**typed)
    return fault.value.code


@pytest.fixture(scope="module")
def authority() -> str:
    """A CA certificate, in PEM."""
    return trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes().decode()


def test_a_form_has_each_field_once() -> None:
    """What can be stored can be typed, and nothing else; an empty form changes nothing."""
    assert {field.name for field in fields(ForwardingForm)} == {field.name for field in fields(Forwarding)}
    assert judged() == {}


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("balance", "round_robin", "round_robin"),
        ("balance", " Least-Connections ", "least_connections"),
        ("balance", "session_affinity", "session_affinity"),
        ("health_path", "", ""),
        ("health_path", " ", ""),
        ("health_path", "/", "/"),
        ("health_path", "/healthz?full=1&x=%20", "/healthz?full=1&x=%20"),
        ("health_path", "/" + "a" * 199, "/" + "a" * 199),
        ("health_interval", "2", 2),
        ("health_interval", 3600, 3600),
        ("health_status", "200", 200),
        ("health_status", "599", 599),
        ("keep_host", False, False),
        ("rewrite_location", True, True),
        ("maintenance", True, True),
        ("maintenance", False, False),
        ("max_body", "0", 0),
        ("max_body", 1, 1),
        ("max_body", "1048576", 1_048_576),
        ("max_body", "10MiB", 10 * 2**20),
        ("max_body", "10 mib", 10 * 2**20),
        ("max_body", "500kB", 500_000),
        ("max_body", "1024TiB", MAX_BODY),
        ("requests_per_second", "0", 0),
        ("requests_per_second", "100000", 100_000),
        ("answer_timeout", "0", 0),
        ("answer_timeout", " 3600 ", 3600),
        ("websocket_origins", [], ()),
        ("answer_fields", [], ()),
        ("upstream_ca", "", ""),
        ("upstream_ca", " \n", ""),
    ],
)
def test_a_field_is_read_as_typed(name: str, typed: object, value: object) -> None:
    """Numbers and sizes are numbers, words have one spelling, empty is the platform's way."""
    assert judged(**{name: typed}) == {name: value}


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("balance", ""),
        ("balance", "random"),
        ("health_path", "healthz"),
        ("health_path", "//healthz"),
        ("health_path", "http://x/healthz"),
        ("health_path", "/a b"),
        ("health_path", "/a\r\nX: y"),
        ("health_path", "/a\x00"),
        ("health_path", "/\x7f"),
        ("health_path", "/ä"),
        ("health_path", "/a#b"),
        ("health_path", "/a\\b"),
        ("health_path", "/\\b"),
        ("health_path", "/" + "a" * 200),
        ("health_interval", "1"),
        ("health_interval", "3601"),
        ("health_interval", ""),
        ("health_interval", "30s"),
        ("health_interval", "2.5"),
        ("health_interval", "-30"),
        ("health_interval", "\u0663\u0660"),  # digits, but not ASCII's
        ("health_interval", True),
        ("health_status", "199"),
        ("health_status", "600"),
        ("health_status", "2xx"),
        ("max_body", ""),
        ("max_body", "-1"),
        ("max_body", "MiB"),
        ("max_body", "1.5MiB"),
        ("max_body", "10 Mio"),
        ("max_body", "10MiBB"),
        ("max_body", "1025TiB"),
        ("max_body", "9" * 17),
        ("requests_per_second", "100001"),
        ("requests_per_second", "many"),
        ("answer_timeout", "3601"),
        ("answer_timeout", "1e3"),
        ("upstream_ca", "junk"),
    ],
)
def test_what_is_no_value_is_refused_by_its_fields_code(name: str, typed: object) -> None:
    """The code names the field, so that a form can show the sentence beside it."""
    assert code_of(**{name: typed}) == f"bad_{name}"


@given(st.integers(0, 2**10), st.sampled_from(["KiB", "MiB", "GiB", "TiB", "kB", "MB", "GB", "TB", ""]))
def test_a_unit_is_a_factor(number: int, unit: str) -> None:
    """Units of two bases do not mix: KiB is 1,024 octets, kB is 1,000."""
    base = 1024 if "i" in unit else 1000
    factor = base ** " KMGT".index(unit[0].upper()) if unit else 1
    assert parse_size(f"{number}{unit}") == number * factor


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.COM:8443", "https://app.example.com:8443"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("https://localhost:3000", "https://localhost:3000"),
        ("https://192.0.2.1", "https://192.0.2.1"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_an_origin_is_spelled_as_browsers_do(typed: str, origin: str) -> None:
    """It is compared octet by octet with what a browser sends (RFC 6454 section 6.2)."""
    assert parse_websocket_origins([typed]) == (origin,)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "null",
        "*",
        "https://",
        "https://*.example.com",
        "http://app.example.com",
        "wss://app.example.com",
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://app.example.com?x",
        "https://app.example.com#x",
        "https://user@app.example.com",
        "https://app.example.com:0",
        "https://app.example.com:99999",
        "https://app.example.com, https://b.example.com",
        "https://bücher.example",
        "https://app\n.example.com",
    ],
)
def test_what_is_more_or_less_than_an_origin_is_refused(typed: str) -> None:
    """A path, a wildcard or plain text would allow more than was meant, or nothing at all."""
    assert code_of(websocket_origins=[typed]) == "bad_websocket_origin"


def test_origins_and_fields_are_counted() -> None:
    """Twenty of each are allowed; what is said twice counts once it is read."""
    origins = [f"https://a{n}.example.com" for n in range(MAX_WEBSOCKET_ORIGINS)]
    assert len(parse_websocket_origins(origins)) == MAX_WEBSOCKET_ORIGINS
    assert parse_websocket_origins([origins[0], origins[0].upper()]) == (origins[0],)
    assert code_of(websocket_origins=[*origins, "https://b.example.com"]) == "bad_count"
    lines = [f"X-Field-{n}: y" for n in range(MAX_ANSWER_FIELDS)]
    assert len(parse_answer_fields(lines)) == MAX_ANSWER_FIELDS
    assert code_of(answer_fields=[*lines, "X-More: y"]) == "bad_count"


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        (
            "Strict-Transport-Security: max-age=31536000; includeSubDomains",
            ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
        ),
        (
            "Content-Security-Policy:frame-ancestors 'self' https://app.example.com",
            ("Content-Security-Policy", "frame-ancestors 'self' https://app.example.com"),
        ),
        ("  X-Frame-Options: \t DENY  ", ("X-Frame-Options", "DENY")),
        ("x: :", ("x", ":")),
    ],
)
def test_an_answer_field_is_a_name_and_a_value(typed: str, field: tuple[str, str]) -> None:
    """The name keeps its spelling, the value its inner spaces."""
    assert parse_answer_fields([typed]) == (field,)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "X-Frame-Options",
        ": DENY",
        "X-Frame-Options:",
        "X-Frame-Options: ",
        "X Frame: y",
        "X-Frame : y",
        "X-Ä: y",
        "X: ä",
        "X: a\tb",
        "X: a\r\nSet-Cookie: b=c",
        "X: a\n",
        "X: a\x00b",
        "X: a\x7f",
        "X:\x0by",
        "X" * 101 + ": y",
        "X: " + "y" * 8192,
    ],
)
def test_what_is_no_header_field_is_refused(typed: str) -> None:
    """Nothing that ends a line, or that servers read in two ways, is in a name or a value."""
    assert code_of(answer_fields=[typed]) == "bad_answer_field"


def test_a_field_is_named_once() -> None:
    """The second of two values would replace the first, or contradict it."""
    assert (
        code_of(answer_fields=["X-Frame-Options: DENY", "x-frame-options: SAMEORIGIN"]) == "bad_answer_field"
    )


@pytest.mark.parametrize(
    "name",
    [
        *("Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "TE", "Trailer", "Upgrade"),
        *("Content-Length", "Transfer-Encoding", "Content-Encoding", "Content-Range", "Content-Type"),
        *("Set-Cookie", "SET-COOKIE2", "Location", "Date", "ETag", "WWW-Authenticate", "Retry-After"),
        *(
            "X-Router-Tenant",
            "x-router-",
            "X_Router_Tenant",
            "X-Portal-User",
            "X-PORTAL-JWT-Assertion",
            "X-Request-Id",
        ),
        *("Sec-WebSocket-Accept", "sec-websocket-protocol"),
    ],
)
def test_what_is_not_a_tenants_to_say_is_refused(name: str) -> None:
    """Framing, hop-by-hop fields, cookies and whatever speaks in the router's name."""
    assert code_of(answer_fields=[f"{name}: x"]) == "reserved_answer_field"


@given(st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{0,20}\Z"))
def test_no_field_passes_here_that_the_edge_drops(name: str) -> None:
    """What the edge would not let an upstream say, no setting says either."""
    try:
        parse_answer_fields([f"{name}: x"])
    except BadInput:
        return
    assert ANSWER_VERDICTS[name.encode()] is Kind.KEEP


@pytest.mark.parametrize(
    "name", ["Keep-Alive", "Set-Cookie", "Connection", "Http2-Settings", "Proxy-Authorization"]
)
def test_what_the_edge_drops_by_name_is_refused(name: str) -> None:
    """The two lists agree, name by name."""
    assert ANSWER_VERDICTS[name.encode()] is not Kind.KEEP
    assert code_of(answer_fields=[f"{name}: x"]) == "reserved_answer_field"


def test_a_bundle_is_stored_without_what_is_around_it(authority: str) -> None:
    """Comments, repetition and line ends go; the certificates stay, in their order."""
    other = trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes().decode()
    typed = f"# the first\n{authority}\n{other.replace(chr(10), chr(13) + chr(10))}\nagain:\n{authority}"
    read = parse_upstream_ca(typed)
    assert read == authority + other
    assert parse_upstream_ca(read) == read


def test_a_bundle_holds_authorities_only(authority: str) -> None:
    """A server's certificate in it would verify nothing; the sentence says which one it is."""
    issued = trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert(
        "erp.example.com", common_name="erp.example.com"
    )
    with pytest.raises(BadInput) as fault:
        parse_upstream_ca(authority + issued.cert_chain_pems[0].bytes().decode())
    assert (fault.value.code, "erp.example.com" in fault.value.sentence) == ("bad_upstream_ca", True)


def test_a_certificate_without_constraints_is_no_authority() -> None:
    """One that says nothing of being an authority is not one (RFC 5280 section 4.2.1.9)."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + dt.timedelta(days=1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    assert code_of(upstream_ca=pem) == "bad_upstream_ca"


def test_a_private_key_is_refused_and_told_to_nobody(authority: str) -> None:
    """The wrong file is noticed before anything of it is stored or said."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for typed in (pem, authority + pem, pem + authority):
        with pytest.raises(BadInput) as fault:
            parse_upstream_ca(typed)
        assert fault.value.code == "bad_upstream_ca"
        assert pem.splitlines()[1] not in fault.value.sentence


@pytest.mark.parametrize(
    "change",
    [
        lambda pem: pem.replace("BEGIN CERTIFICATE", "BEGIN TRUSTED CERTIFICATE"),
        lambda pem: pem.replace("M", "N"),
        lambda pem: pem[: len(pem) // 2],
        lambda pem: pem + "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        lambda pem: f"ä{pem}",
        lambda pem: pem * (MAX_UPSTREAM_CA // len(pem) + 1),
    ],
    ids=["trusted", "damaged", "half", "empty one", "not ASCII", "too large"],
)
def test_a_bundle_that_cannot_be_read_is_refused(change: Any, authority: str) -> None:  # noqa: ANN401 - a function
    """What OpenSSL might read otherwise than we do is not stored."""
    assert code_of(upstream_ca=change(authority)) == "bad_upstream_ca"


@given(st.text(max_size=60))
def test_no_text_breaks_the_readers(raw: str) -> None:
    """Whatever is typed is read or refused with a code, and what is read is read the same again."""
    for field in fields(ForwardingForm):
        if field.name in {"keep_host", "rewrite_location", "maintenance"}:
            continue
        typed: Any = [raw] if field.name in {"websocket_origins", "answer_fields"} else raw
        try:
            value = judged(**{field.name: typed})[field.name]
        except BadInput:
            continue
        again = [f"{name}: {text}" for name, text in value] if field.name == "answer_fields" else value
        assert judged(**{field.name: again}) == {field.name: value}


FORWARDINGS = st.builds(
    Forwarding,
    balance=st.sampled_from(get_args(Balance)),
    health_path=st.sampled_from(["", "/healthz"]),
    health_interval=st.integers(2, 3600),
    health_status=st.integers(200, 599),
    keep_host=st.booleans(),
    rewrite_location=st.booleans(),
    maintenance=st.booleans(),
    max_body=st.integers(0, MAX_BODY),
    requests_per_second=st.integers(0, 100_000),
    answer_timeout=st.integers(0, 3600),
    websocket_origins=st.lists(st.sampled_from(["https://a", "https://b:1"]), max_size=2).map(tuple),
    answer_fields=st.lists(st.tuples(st.just("X-A"), st.text(max_size=5)), max_size=2).map(tuple),
    upstream_ca=st.sampled_from(["", "PEM"]),
)


@given(FORWARDINGS)
def test_what_is_stored_is_read_again(forwarding: Forwarding) -> None:
    """Through JSON and back it is the same value, and only what is not by default takes room."""
    adapter = TypeAdapter(dict[str, Any])
    stored = stored_forwarding(forwarding)
    assert read_forwarding(adapter.validate_json(adapter.dump_json(stored))) == forwarding
    default = asdict(Forwarding())
    assert all(value != default[name] for name, value in stored.items())


def test_the_platforms_way_is_stored_as_nothing() -> None:
    """A default that changes with a later version reaches every tenant that never chose otherwise."""
    assert stored_forwarding(Forwarding()) == {}
    assert stored_forwarding(replace(Forwarding(), maintenance=True)) == {"maintenance": True}
    assert read_forwarding({}) == Forwarding()


def test_what_a_newer_version_stored_besides_is_left_out() -> None:
    """A worker of the former version goes on serving while a fleet is updated."""
    assert read_forwarding({"maintenance": True, "of_tomorrow": [1]}) == Forwarding(maintenance=True)
