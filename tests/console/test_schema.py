"""The API does what its OpenAPI document says: schemathesis sends each operation what fits and what does not.

Every answer is held to the document: its status, its media type, its fields, and the code of a failure, which
is one of those that are told for the operation. Nothing is a 5xx, and no call is done without its token.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import positive_data_acceptance
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from router.console.api.openapi import describe
from router.console.scopes import Scope

if TYPE_CHECKING:
    from schemathesis import Case
    from schemathesis.schemas import APIOperation

    from tests.console.stand import Stand

EXAMPLES: Final = 4
"""Of each kind for each operation: enough to find what is forgotten, few enough for every run."""

_NETWORKS: Final = count(1)

# What fits a schema may be refused all the same: an address that is taken, a hostname that is none.
_EXCLUDED: Final = [positive_data_acceptance]


# On PostgreSQL, which has no NUL in a text and counts no further than 64 bits.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "does not"])
async def test_every_answer_is_as_it_is_described(stand: Stand, mode: GenerationMode) -> None:
    """For what may be sent, and for what may not; to a tenant that there is, by somebody who may."""
    token = await stand.new_token(None, *Scope, name="schemathesis")
    headers = {"Authorization": f"Bearer {token}", "X-Router-Request-Id": "req-1"}
    document = describe(stand.operations)
    await asyncio.to_thread(_try_all, document, f"{stand.url}/api/v1", headers, mode)


def _try_all(document: dict[str, Any], url: str, headers: dict[str, str], mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(document)
    found = []
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        try:
            _try(result.ok(), url, headers, mode)
        except FailureGroup as failures:  # told below, all of them at once
            found += [f"{result.ok().label}: {fault}" for fault in failures.exceptions]
    assert found == [], "\n\n".join(found)


def _try(
    operation: APIOperation[Any, Any, Any, Any], url: str, headers: dict[str, str], mode: GenerationMode
) -> None:
    about_acme = "{tenant}" in operation.path and operation.label != "DELETE /tenants/{tenant}"
    given_path = {"tenant": "acme"} if about_acme else None
    versioned = any(each.name == "If-Match" for each in operation.headers)
    given_headers = {"If-Match": "*"} if versioned else None

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode, path_parameters=given_path, headers=given_headers))
    def call(case: Case[Any]) -> None:
        # Each from a network of its own: what schemathesis shows instead of a token are guesses.
        headers["X-Router-Client"] = f"2001:db8:{next(_NETWORKS):x}::1"
        case.call_and_validate(base_url=url, headers=headers, excluded_checks=_EXCLUDED, timeout=20)

    call()
