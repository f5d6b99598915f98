"""What is told of a claim: for every code a sentence, and something to do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from router.tenants import proof, verify
from router.tenants.claims import Claim, ClaimState
from router.tenants.schedule import LOST_LIFE, TRIES
from router.tenants.story import SENTENCES, ends_at, tell
from tests.tenants.test_course import CLAIM, at

TARGET = "k3x9.customers.portal.example"
DOCUMENT = Path(__file__).parents[2] / "docs" / "domains.md"


@pytest.mark.parametrize("code", SENTENCES)
def test_every_code_has_a_sentence_and_a_step(code: str) -> None:
    """What is wrong comes with what to do; only what is well needs nothing."""
    story = tell(at(ClaimState.VERIFYING, code=code), TARGET)
    assert story.code == code
    assert story.sentence.endswith(".")
    assert "{" not in str(story)
    assert bool(story.next_step) is (code not in ("proved_by_cname", "proved_by_txt", "vouched"))


def test_every_code_of_the_judges_has_a_sentence() -> None:
    """A verdict that nobody can read is none."""
    source = Path(proof.__file__).read_text("utf-8") + Path(verify.__file__).read_text("utf-8")
    returned = set(re.findall(r'(?:return|or|else|fault=|code=|if \w+ else|\() ?"([a-z]+_[a-z_]+)"', source))
    codes = returned - {"target_without_address"}  # of one line of evidence, never of a verdict
    assert codes >= {"no_such_name", "cname_loop", "txt_wrong", "dns_timeout", "dns_truncated"}
    assert codes <= set(SENTENCES)


def test_the_document_has_every_state_and_code() -> None:
    """docs/domains.md has a row for each of them, and for no other."""
    rows = re.findall(r"^\| `([a-z_]+)` \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    others = {"target_without_address", "not_checked_yet"}
    assert sorted(rows) == sorted({*SENTENCES, *others, *(state.value for state in ClaimState)})


@pytest.mark.parametrize(
    ("claim", "code", "words"),
    [
        (CLAIM, "not_checked_yet", f"billing.acme.example CNAME {TARGET}"),
        (
            replace(CLAIM, behind_cdn=True),
            "not_checked_yet",
            "_portal-challenge.billing.acme.example TXT token",
        ),
        (
            replace(CLAIM, code="no_such_name", checks=TRIES),
            "no_such_name",
            "domain verify billing.acme.example",
        ),
        (at(ClaimState.MOVED, code="no_such_name"), "no_such_name", "Its proof is gone"),
        (at(ClaimState.ACTIVE, code="proved_by_txt"), "proved_by_txt", "TXT record"),
        (replace(at(ClaimState.ACTIVE, code="no_such_name"), proof="operator"), "vouched", "vouched"),
        (at(ClaimState.RELEASED), "released", "domain add acme billing.acme.example"),
        (at(ClaimState.RELEASED, code="displaced"), "displaced", "Another tenant"),
        (at(ClaimState.RELEASED, code="proof_lost"), "proof_lost", "seven days"),
        (at(ClaimState.BLOCKED, code="no_such_name"), "blocked", "domain unblock billing.acme.example"),
        (at(ClaimState.SUSPENDED), "suspended", "domain resume billing.acme.example"),
        (replace(at(ClaimState.ACTIVE), kind="platform"), "active", "under the platform's domain"),
    ],
)
def test_the_state_has_its_say(claim: Claim, code: str, words: str) -> None:
    """The same code is told differently where the state makes a difference."""
    story = tell(claim, TARGET)
    assert story.code == code
    assert words in str(story)


def test_only_what_lost_its_proof_ends() -> None:
    """When that is, is known from the first day."""
    moved = at(ClaimState.MOVED)
    assert ends_at(moved) == (moved.lost_at or 0) + LOST_LIFE
    assert ends_at(at(ClaimState.ACTIVE)) is None
