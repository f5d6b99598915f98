"""The life of a certificate, as rules: where it stands, when its end is told, what depends on it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.certificates.life import DAY, NOTICES, Standing, due_notice, has_successor, left_bare, stage_of
from router.certificates.record import CertificateRecord
from tests.certificates.maker import NOW

CERT = CertificateRecord(
    id="crt_1",
    tenant_id="acme",
    source="upload",
    state="active",
    key_type="ecdsa",
    fingerprint="ab",
    names=("billing.acme.test", "*.shop.acme.test"),
    not_before=int(NOW) - 10 * DAY,
    not_after=int(NOW) + 80 * DAY,
    created_at=int(NOW) - 9 * DAY,
)


@pytest.mark.parametrize(
    ("change", "serves", "deployed", "stage"),
    [
        ({}, True, True, "active"),
        ({}, True, False, "deploying"),
        ({}, False, True, "held"),
        ({}, False, False, "held"),
        ({"not_after": int(NOW) + 30 * DAY}, True, True, "expiring"),
        ({"not_after": int(NOW) + 30 * DAY + 1}, True, True, "active"),
        ({"not_after": int(NOW) + DAY}, True, False, "deploying"),
        ({"not_after": int(NOW)}, True, True, "expiring"),
        ({"not_after": int(NOW) - 1}, True, True, "expired"),
        ({"not_after": int(NOW) - 1}, False, False, "expired"),
        ({"state": "superseded", "not_after": int(NOW) - 1}, True, True, "superseded"),
        ({"state": "superseded"}, True, True, "superseded"),
    ],
)
def test_where_a_certificate_stands(
    change: dict[str, object], *, serves: bool, deployed: bool, stage: str
) -> None:
    """One table: superseded before expired, expired before held, held before deploying, then by the days."""
    record = replace(CERT, **change)  # type: ignore[arg-type]
    assert stage_of(record, NOW, serves=serves, deployed=deployed) == stage


def test_nobody_is_not_everybody() -> None:
    """Without a worker, no certificate is deployed."""
    assert not Standing("deploying", 0, 0).deployed
    assert not Standing("deploying", 1, 2).deployed
    assert Standing("active", 2, 2).deployed


@pytest.mark.parametrize(
    ("life", "left", "due"),
    [
        (90, 31, None),
        (90, 30, 30),
        (90, 14.1, 30),
        (90, 14, 14),
        (90, 7, 7),
        (90, 1, 1),
        (90, 0.1, 1),
        (90, 0, 0),
        (90, -5, 0),
        (47, 30, None),  # more than half of its life is before it
        (47, 14, 14),
        (6, 1, 1),
        (6, 6, None),
        (1, 0.5, None),
        (1, -0.5, 0),
    ],
)
def test_which_notice_is_due(life: float, left: float, due: int | None) -> None:
    """The latest one whose time has come; none in the first half of a certificate's life."""
    ends = int(NOW + left * DAY)
    assert due_notice(int(ends - life * DAY), ends, NOW) == due


@given(st.integers(1, 400), st.lists(st.floats(-10, 400), min_size=2, max_size=2))
def test_notices_come_in_their_order(life: int, moments: list[float]) -> None:
    """The nearer the end, the smaller the number; each is one of those there are."""
    ends = 400 * DAY
    far, near = sorted(moments, reverse=True)
    first, second = (due_notice(ends - life * DAY, ends, ends - left * DAY) for left in (far, near))
    assert {first, second} <= {None, *NOTICES}
    if first is not None:
        assert second is not None
        assert second <= first


LATER = replace(CERT, id="crt_2", not_after=CERT.not_after + DAY)


@pytest.mark.parametrize(
    ("other", "goes_on"),
    [
        (LATER, True),
        (replace(LATER, names=("*.acme.test",)), True),
        (replace(LATER, tenant_id=None), True),
        (replace(LATER, tenant_id="globex"), False),
        (replace(LATER, names=("shop.acme.test",)), False),
        (replace(LATER, key_type="rsa"), False),
        (replace(LATER, not_after=CERT.not_after), False),
        (replace(LATER, id=CERT.id), False),
    ],
)
def test_what_is_a_successor(other: CertificateRecord, *, goes_on: bool) -> None:
    """One that lasts longer, for the same hostname and clients, of the same owner or the platform."""
    assert has_successor(CERT, [CERT, other], "billing.acme.test") is goes_on


@pytest.mark.parametrize(
    ("others", "bare"),
    [
        ([], ["billing.acme.test", "a.shop.acme.test"]),
        ([LATER], []),
        ([replace(LATER, names=("*.acme.test",))], ["a.shop.acme.test"]),
        ([replace(LATER, tenant_id=None, names=("billing.acme.test", "a.shop.acme.test"))], []),
        ([replace(LATER, tenant_id="globex")], ["billing.acme.test", "a.shop.acme.test"]),
    ],
)
def test_what_would_be_left_bare(others: list[CertificateRecord], bare: list[str]) -> None:
    """Hostnames that the owner holds and nothing else covers; what others hold is none of its business."""
    held = [("billing.acme.test", "acme"), ("a.shop.acme.test", "acme"), ("billing.globex.test", "globex")]
    wide = replace(CERT, names=(*CERT.names, "billing.globex.test"))
    assert list(left_bare(wide, others, held)) == bare
    platform = replace(wide, tenant_id=None)
    assert set(left_bare(platform, others, held)) == {*bare, "billing.globex.test"}
