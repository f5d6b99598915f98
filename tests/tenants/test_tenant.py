"""A tenant's fields: what is read in, and how it is spelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from router.errors import BadInput
from router.hostname import Hostname
from router.tenants.tenant import (
    Branding,
    Forwarding,
    Tenant,
    Upstream,
    parse_colour,
    parse_name,
    parse_public_path,
    parse_slug,
)

TENANT = Tenant(
    id="tnt_1",
    slug="acme",
    hostname=Hostname.parse("billing.acme.example"),
    branding=Branding("Acme “Tools”", "#0b6e4f"),
    upstreams=(Upstream("https://erp.acme.example:8443"), Upstream("http://192.0.2.1:80", 3)),
    status="suspended",
    allow_registration=True,
    public_paths=("/help",),
    forwarding=Forwarding(
        maintenance=True, websocket_origins=("https://a.example",), answer_fields=(("X-A", "b"),)
    ),
    version=7,
)


def test_a_tenant_survives_the_cache() -> None:
    """What is written as JSON comes back as the same value, its hostname still a Hostname."""
    adapter = TypeAdapter(Tenant)
    back = adapter.validate_json(adapter.dump_json(TENANT))
    assert back == TENANT
    assert isinstance(back.hostname, Hostname)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b'"billing.acme.example"', b'"billing..acme"'),
        (b'"suspended"', b'"deleted"'),
        (b'"version":7', b'"version":"x"'),
        (b'"round_robin"', b'"random"'),
        (b'["X-A","b"]', b'["X-A"]'),
        (b'"id":"tnt_1",', b""),
    ],
)
def test_a_poisoned_copy_is_refused(good: bytes, bad: bytes) -> None:
    """A cache entry that is no tenant raises what the lookup takes for a miss (THREATS 96)."""
    adapter = TypeAdapter(Tenant)
    text = adapter.dump_json(TENANT)
    assert good in text
    with pytest.raises(ValidationError):
        adapter.validate_json(text.replace(good, bad))


@pytest.mark.parametrize(
    ("raw", "colour"),
    [("#0B6E4F", "#0b6e4f"), ("#fff", "#ffffff"), (" #A1b2C3 ", "#a1b2c3"), ("#0F0", "#00ff00")],
)
def test_a_colour_has_one_spelling(raw: str, colour: str) -> None:
    """Three digits or six, in any case: six in lower case are kept."""
    assert parse_colour(raw) == colour


@pytest.mark.parametrize(
    "raw", ["", "0B6E4F", "#0B6E4", "#0B6E4FF", "red", "#ggg", "#\uff10\uff10\uff10", "#fff;", "#fff\n#"]
)
def test_what_is_not_a_colour_is_refused(raw: str) -> None:
    """Anything that could be more than a colour in a style sheet is refused."""
    with pytest.raises(BadInput) as fault:
        parse_colour(raw)
    assert fault.value.code == "bad_colour"


@pytest.mark.parametrize("raw", ["", "-a", "a-", "A", "a.b", "a_b", "ä", "a" * 41, "a b", "a\n", "tnt/1"])
def test_a_slug_is_one_plain_label(raw: str) -> None:
    """A short name is fit for a sub-domain as it stands."""
    with pytest.raises(BadInput) as fault:
        parse_slug(raw)
    assert fault.value.code == "bad_slug"


def test_a_name_keeps_its_characters_and_loses_its_surplus_space() -> None:
    """Names of any script are names; their white space is single."""
    assert parse_name("  Müller \t & Söhne\n GmbH ") == "Müller & Söhne GmbH"
    assert parse_name("株式会社アクメ") == "株式会社アクメ"


@pytest.mark.parametrize("raw", ["", "   ", "a\x00b", "a\x1b[31mb", "a\u202eb", "a" * 81])
def test_a_name_that_cannot_be_shown_is_refused(raw: str) -> None:
    """Control characters, also those that turn text around, are in no name."""
    with pytest.raises(BadInput) as fault:
        parse_name(raw)
    assert fault.value.code == "bad_name"


@pytest.mark.parametrize(
    "path", ["/", "/help", "/help/", "/files/public", "/a.b/~c", "/.well-known/security.txt"]
)
def test_a_plain_path_can_be_public(path: str) -> None:
    """A path that every server reads in the same way can be opened."""
    assert parse_public_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "help",
        "//help",
        "/help//x",
        "/help/..",
        "/./help",
        "/help/../admin",
        "/a%2fb",
        "/a b",
        "/a\\b",
        "/a;b/c",
        "/a?b",
        "/a#b",
        "/ä",
        "/-",
        "/-/sign-in",
        "/" + "a" * 200,
        "https://evil.example/",
    ],
)
def test_an_ambiguous_path_cannot_be_public(path: str) -> None:
    """What could be read in two ways, or is the router's own, stays behind the sign-in."""
    with pytest.raises(BadInput) as fault:
        parse_public_path(path)
    assert fault.value.code == "bad_public_path"


@given(st.text(max_size=50))
def test_no_text_breaks_the_parsers(raw: str) -> None:
    """Whatever is typed is read or refused, and what is read can be read again."""
    for parse in (parse_colour, parse_slug, parse_name, parse_public_path):
        try:
            value = parse(raw)
        except BadInput:
            continue
        assert parse(value) == value
