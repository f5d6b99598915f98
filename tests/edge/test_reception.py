"""What is asked of the rooms before a visit is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from router.edge.answers import Answer, Answers
from router.edge.reception import Reception
from router.edge.visit import Door
from router.hostname import Hostname
from router.observe.health import Health
from router.storage.lookup import PENDING
from tests.edge.heads import arrival, visit

if TYPE_CHECKING:
    from router.edge.answers import ErrorPages
    from router.edge.routes import Routes
    from router.identity.sessions import Sessions
    from router.storage.lookup import Pending
    from router.tenants.directory import Directory


class _Forgetful:
    """A directory that has nothing in memory: it would have to ask the database, which may be away."""

    def peek(self, hostname: Hostname) -> Pending:
        """Nothing is known of any name."""
        del hostname
        return PENDING


RECEPTION = Reception(
    cast("Directory", _Forgetful()),
    cast("Sessions", None),
    cast("Routes", None),
    Health(),
    Answers(cast("ErrorPages", None), public_port=443),
    admin_hostname=Hostname("admin.portal.example"),
)


@pytest.mark.parametrize("door", [Door.HEALTH, Door.ADMIN])
@pytest.mark.parametrize("host", [b"router-1.internal:8081", b"localhost", b"acme.portal.example"])
def test_the_ports_without_tenants_do_without_the_database(host: bytes, door: Door) -> None:
    """By whatever name a balancer asks there, it is answered from memory: an outage below is no death."""
    answer = RECEPTION.receive(visit(target=b"/healthz", host=host, by=arrival(door=door)))
    assert isinstance(answer, Answer)
    assert answer.status == 200


def test_on_the_other_ports_a_name_is_looked_up() -> None:
    """It may be a tenant's, whose upstream answers by that path."""
    assert RECEPTION.receive(visit(target=b"/healthz")) is None


@pytest.mark.parametrize(("door", "status"), [(Door.HTTP, 403), (Door.HTTPS, 421)])
def test_the_admin_hostname_does_without_the_directory(door: Door, status: int) -> None:
    """It is nobody's portal, whoever claims it: nothing is looked up (over Acme's connection: 421)."""
    answer = RECEPTION.receive(visit(host=b"Admin.portal.example.:8443", by=arrival(door=door)))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.close) == (status, True)


def test_the_health_port_knows_no_admin_hostname() -> None:
    """There, health alone answers, by that name as by any other."""
    health = visit(target=b"/readyz", host=b"admin.portal.example", by=arrival(door=Door.HEALTH))
    answer = RECEPTION.receive(health)
    assert isinstance(answer, Answer)
    assert answer.status in (200, 503)
    api = visit(target=b"/api/v1/tenants", host=b"admin.portal.example", by=arrival(door=Door.HEALTH))
    refused = RECEPTION.receive(api)
    assert isinstance(refused, Answer)
    assert refused.status == 404
