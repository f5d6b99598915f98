from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from router.certificates.record import CertificateRecord, choose
from tests.certificates.maker import NOW

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = "www.example.com"
BASE = CertificateRecord(
    id="crt_1",
    tenant_id=None,
    source="upload",
    state="active",
    key_type="ecdsa",
    fingerprint="",
    names=(HOST,),
    not_before=0,
    not_after=int(NOW) + 1000,
    created_at=100,
)


def chosen(*records: CertificateRecord) -> Sequence[CertificateRecord]:
    """Choose among records in both orders."""
    first = choose(records, HOST, NOW)
    assert choose(reversed(records), HOST, NOW) == first
    return first


def test_a_certificate_for_other_names_is_never_chosen() -> None:
    """Nothing is served for a name it does not carry."""
    assert chosen(replace(BASE, names=("example.com", "*.www.example.com"))) == ()


def test_each_rule_outweighs_those_after_it() -> None:
    """Unexpired, exact, the tenant's own, uploaded, newest: in this order."""
    best = replace(BASE, id="best", tenant_id="tnt_1")
    worse = [
        replace(best, id="older", created_at=50),
        replace(best, id="file", source="folder", created_at=500),
        replace(best, id="platform's", tenant_id=None, created_at=500),
        replace(best, id="wildcard", names=("*.example.com",), created_at=500),
        replace(best, id="expired", not_after=int(NOW) - 1, created_at=500),
    ]
    for number, record in enumerate(worse):
        assert chosen(best, record) == (best,)
        for worst in worse[number + 1 :]:
            assert chosen(record, worst) == (record,)


def test_an_expired_certificate_is_better_than_none() -> None:
    """Its owner learns of it from the browser's warning instead of from silence."""
    old = replace(BASE, not_after=int(NOW) - 1)
    assert chosen(old) == (old,)


def test_kinds_of_keys_stand_side_by_side() -> None:
    """RSA goes beside ECDSA when both are of the same standing, and not otherwise."""
    rsa = replace(BASE, id="crt_2", key_type="rsa", created_at=50)
    assert chosen(BASE, rsa) == (BASE, rsa)
    assert chosen(BASE, replace(rsa, names=("*.example.com",))) == (BASE,)
    assert chosen(BASE, replace(rsa, source="folder")) == (BASE,)
    assert chosen(BASE, rsa, replace(rsa, id="older", created_at=10)) == (BASE, rsa)


records = st.builds(
    CertificateRecord,
    id=st.uuids().map(str),
    tenant_id=st.none() | st.just("tnt_1"),
    source=st.sampled_from(["upload", "folder"]),
    state=st.just("active"),
    key_type=st.sampled_from(["rsa", "ecdsa", "ed25519"]),
    fingerprint=st.just(""),
    names=st.sampled_from([(HOST,), ("*.example.com",), ("other.test",)]),
    not_before=st.just(0),
    not_after=st.integers(int(NOW) - 2, int(NOW) + 2),
    created_at=st.integers(0, 3),
)


@given(st.lists(records, max_size=6))
def test_a_choice_has_each_kind_of_key_once_and_covers_the_name(several: list[CertificateRecord]) -> None:
    """Whatever there is, what is chosen fits together."""
    found = choose(several, HOST, NOW)
    assert len({each.key_type for each in found}) == len(found)
    assert all(each.names[0] in {HOST, "*.example.com"} for each in found)
    assert len({(each.tenant_id, each.source, each.names) for each in found}) <= 1
    assert bool(found) == any(each.names != ("other.test",) for each in several)
