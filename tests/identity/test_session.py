from __future__ import annotations

from dataclasses import replace

import pytest

from router.identity.session import Session

SESSION = Session(
    key="k",
    id="ses_1",
    tenant_id="tnt_1",
    user_id="usr_1",
    email="mary@acme.test",
    customer="C-1001",
    signed_in_at=1000,
    seen_at=5000,
    expires_at=9000,
    idle_life=600,
)


@pytest.mark.parametrize(
    ("tenant", "now", "admitted"),
    [
        ("tnt_1", 5000, True),
        ("tnt_1", 5599.9, True),
        ("tnt_1", 5600, False),
        ("tnt_2", 5000, False),
        ("", 5000, False),
    ],
)
def test_session_admits_to_its_own_tenant_alone(tenant: str, now: float, *, admitted: bool) -> None:
    """A session opens its own tenant's portal and no other, until it was idle for its idle life."""
    assert SESSION.admits(tenant, now) is admitted


def test_session_ends_however_much_it_is_used() -> None:
    """The absolute end holds, whatever was seen a moment before."""
    assert replace(SESSION, seen_at=8999).admits("tnt_1", 8999.9)
    assert not replace(SESSION, seen_at=8999).admits("tnt_1", 9000)
