"""One worker and one recording upstream for all journeys of a test process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.journeys.node import Node, running_node
from tests.journeys.upstream import RecordingUpstream

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def _listening_upstream() -> Iterator[RecordingUpstream]:
    upstream = RecordingUpstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="session")
def node(_listening_upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Run a worker for the whole session."""
    with running_node(tmp_path_factory.mktemp("node"), _listening_upstream.url) as running:
        yield running


@pytest.fixture
def upstream(_listening_upstream: RecordingUpstream) -> Iterator[RecordingUpstream]:
    """Hand out the upstream with a clean record.

    At the end of the test, what its scripts asserted is raised, and all that it was sent must have had
    exactly one framing.
    """
    _listening_upstream.begin_anew()
    yield _listening_upstream
    _listening_upstream.judge()
    if not _listening_upstream.faults.empty():
        raise _listening_upstream.faults.get()
