from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.errors import BadInput
from router.languages.choice import accepted, choose_language, parse_language

OFFERED = ("de", "en", "es", "fr", "pt-BR")

languages = st.sampled_from([*OFFERED, "it", "", "DE", "xx-yy"])
weights = st.one_of(st.none(), st.integers(0, 1000).map(lambda n: f"{n / 1000:.3f}"))
ranges = st.tuples(st.sampled_from(["de", "de-AT", "EN-us", "es", "fr", "it", "pt", "*"]), weights)


def _header(pairs: list[tuple[str, str | None]]) -> str:
    return ", ".join(name if weight is None else f"{name};q={weight}" for name, weight in pairs)


@pytest.mark.parametrize(
    ("wishes", "chosen"),
    [
        ({}, "en"),
        ({"tenant": "de"}, "de"),
        ({"tenant": "de", "accept": "fr"}, "fr"),
        ({"tenant": "de", "accept": "fr", "cookie": "en"}, "en"),
        ({"tenant": "de", "accept": "it"}, "de"),
        ({"tenant": "it", "accept": "it", "cookie": "it"}, "en"),
        ({"cookie": "", "accept": "", "tenant": ""}, "en"),
        ({"cookie": "<script>", "accept": "fr"}, "fr"),
    ],
    ids=[
        "nothing",
        "tenant",
        "browser",
        "cookie",
        "not-offered",
        "none-offered",
        "empty",
        "nonsense",
    ],
)
def test_who_is_heard_first(wishes: dict[str, str | None], chosen: str) -> None:
    """The cookie, the browser, the tenant, English; a language that is not offered is no wish."""
    assert choose_language(OFFERED, **wishes) == chosen  # type: ignore[arg-type]  # a table of keywords


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de"),
        ("de-Latn-AT-1996", "de"),
        ("fr-x-chti", "fr"),
        ("pt-BR", "pt-BR"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-BR"),
        ("da, en-gb;q=0.8, en;q=0.7", "en"),
        ("de;q=0.4, fr;q=0.9, es;q=0.5", "fr"),
        ("de;q=0.5, fr;q=0.5", "de"),
        ("de;q=0.001, it", "de"),
        ("de;q=0", None),
        ("de;q=0.000, fr;q=0.1", "fr"),
        ("de-AT, de;q=0", None),
        ("*", None),
        ("*;q=0.5, fr;q=0.1", "fr"),
        ("it, *", None),
        ("de;q=1.000", "de"),
        ("de ; q=0.5 ,\tfr", "fr"),
        (", ,de,", "de"),
        ("de;Q=0.2, fr;q=0.1", "de"),
        # What breaks the grammar counts as absent.
        ("de;q=1.5, fr;q=0.1", "fr"),
        ("de;q=0.1234, fr;q=0.1", "fr"),
        ("de;q=-1, fr;q=0.1", "fr"),
        ("de;q=, fr;q=0.1", "fr"),
        ("de;level=1, fr;q=0.1", "fr"),
        ("de_AT, fr;q=0.1", "fr"),
        ("deutschland, fr;q=0.1", "fr"),
        ("d\N{LATIN SMALL LETTER E WITH ACUTE}, fr", "fr"),
        ("-de", None),
        ("de" * 5000, None),
    ],
    ids=range(32),
)
def test_what_a_browser_asks_for(accept: str, chosen: str | None) -> None:
    """Accept-Language is read with its weights (RFC 9110 12.5.4) and looked up by RFC 4647 section 3.4."""
    assert choose_language(OFFERED, accept=accept, tenant="es") == (chosen or "es")


def test_of_two_regions_the_one_asked_for_is_taken() -> None:
    """A region that is offered wins over its language, and the language over another region."""
    offered = ("en", "pt", "pt-BR")
    assert choose_language(offered, accept="pt-BR") == "pt-BR"
    assert choose_language(offered, accept="pt-PT") == "pt"
    assert choose_language(offered, accept="pt-BR;q=0, pt") == "pt"


@given(cookie=languages, accept=st.text(max_size=60), tenant=languages)
@example(cookie="", accept="zh;q=1,,;q=,*;q=0", tenant="")
def test_what_is_chosen_is_always_offered(cookie: str, accept: str, tenant: str) -> None:
    """Whatever anybody sends, the answer is a language there is."""
    assert choose_language(OFFERED, cookie=cookie, accept=accept, tenant=tenant) in OFFERED


@given(st.lists(ranges, max_size=8))
def test_a_refused_language_is_not_chosen_for_the_browser(pairs: list[tuple[str, str | None]]) -> None:
    """With a weight of nought a language is not spoken to this browser, however else it is named."""
    refused = {name.lower() for name, weight in pairs if weight is not None and float(weight) == 0}
    chosen = choose_language((*OFFERED, "zz"), accept=_header(pairs), tenant="zz")
    assert chosen not in refused


@given(st.lists(ranges, max_size=12))
def test_ranges_come_in_the_order_of_their_weights(pairs: list[tuple[str, str | None]]) -> None:
    """The most wanted comes first, of equal ones the earlier; what is refused does not come at all."""
    kept = [(name.lower(), float(weight or 1)) for name, weight in pairs if weight is None or float(weight)]
    assert accepted(_header(pairs)) == [name for name, _ in sorted(kept, key=lambda pair: -pair[1])]


def test_a_flood_of_ranges_is_read_in_part() -> None:
    """A header of thousands of ranges costs no more than one of twenty."""
    assert len(accepted("de," * 5000)) == 20


@pytest.mark.parametrize(
    ("raw", "code"),
    [("de", "de"), (" DE ", "de"), ("pt_br", "pt-BR"), ("zh-hant-tw", "zh-Hant-TW"), ("es-419", "es-419")],
    ids=["plain", "capitals", "underscore", "script", "number"],
)
def test_a_code_has_one_spelling(raw: str, code: str) -> None:
    """However a language is spelled, it is stored and compared in the spelling of RFC 5646."""
    assert parse_language(raw) == code


@pytest.mark.parametrize("raw", ["", "d", "german", "de-", "de-DE-1996", "../de", "de\n\n;"], ids=range(7))
def test_what_is_no_code_is_refused(raw: str) -> None:
    """A language that cannot be one is told to whoever wrote it."""
    with pytest.raises(BadInput, match="is not a language's code") as caught:
        parse_language(raw)
    assert caught.value.code == "bad_language"
