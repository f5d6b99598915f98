"""What the DNS says of a hostname, judged: whether it is the tenant's, and if not, what is missing.

PURE; verify.py asks. A claim is proved by either of these:

- **cname**: the chain of CNAME records that begins at the hostname passes the tenant's own target. Targets
  are random labels, one for each tenant and never given out again, so a record that still points at the
  target of a tenant that is gone proves nothing for anybody else.
- **txt**: a TXT record at ``_portal-challenge.<hostname>`` is the claim's token.

Addresses prove nothing. Where a CNAME is flattened (at the apex of a domain, RFC 1912 section 2.4 forbids
one) the hostname has the platform's addresses, which are the same for all tenants: whoever had the hostname
before would keep it. There the TXT record is needed beside, as it is behind a CDN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from router.hostname import Hostname
    from router.tenants.claims import Proof

Question = Literal["A", "AAAA", "TXT"]
Method = Literal["cname", "txt", "address", "operator"]
Finding = Literal["good", "missing", "wrong", "unanswered"]

_MOST_CHARACTERS: Final = 500
"""Of an answer, as it is kept: strangers write what is in their DNS."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard to one question.

    ``chain`` are the names that the asked one is an alias for, in order; ``values`` are addresses, or the
    texts of TXT records, each joined of its strings (RFC 7208 section 3.3 does so too). ``fault`` is the code
    of why nothing was heard; ``looped`` says that the chain leads back to itself.
    """

    question: Question
    name: str
    resolver: str
    chain: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    exists: bool = True
    looped: bool = False
    fault: str = ""

    def __str__(self) -> str:
        """Spell it as evidence."""
        if self.fault:
            return self.fault
        end = ", ".join(self.values) or ("no such record" if self.exists else "no such name")
        return " -> ".join((*self.chain, "itself again" if self.looped else end))[:_MOST_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Facts:
    """What was heard of a hostname: its addresses, its challenge, and where the tenant's target leads."""

    v4: Heard
    v6: Heard
    txt: Heard
    target_v4: Heard
    target_v6: Heard

    @property
    def chain(self) -> tuple[str, ...]:
        """The names that the hostname is an alias for, as far as anybody told."""
        return max(self.v4.chain, self.v6.chain, key=len)

    @property
    def host_known(self) -> bool:
        """Whether the chain is known for certain: it is the same for every kind of record."""
        return not self.v4.fault or not self.v6.fault

    @property
    def addresses(self) -> frozenset[str]:
        """Where the hostname leads."""
        return frozenset(self.v4.values + self.v6.values)

    @property
    def ours(self) -> frozenset[str]:
        """Where the tenant's target leads: the platform's addresses."""
        return frozenset(self.target_v4.values + self.target_v6.values)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What would prove a claim."""

    hostname: Hostname
    target: Hostname
    txt_name: str
    token: str
    behind_cdn: bool
    platform_domain: Hostname


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line for the record: what was asked of whom, what came, what would have been good."""

    method: Method
    asked: str
    resolver: str
    answer: str
    expected: str
    verdict: Finding
    code: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a claim is proved.

    ``certain`` says, without a proof, that there is none; else the name servers could not tell. ``code`` is
    what to tell (story.py has the sentence).
    """

    proof: Proof | None
    certain: bool
    code: str
    evidence: tuple[Evidence, ...] = ()


def judge(wanted: Wanted, facts: Facts) -> Verdict:
    """Judge what was heard for one claim; the same facts may be judged for each who claims the hostname."""
    by_cname, by_txt = wanted.target in facts.chain, wanted.token in _texts(facts.txt)
    host, challenge, address = _host_code(wanted, facts), _challenge_code(wanted, facts), ""
    if not wanted.behind_cdn and not by_cname:
        address = _address_code(facts)
    evidence = _evidence(wanted, facts, host, challenge, address)
    if by_cname:
        return Verdict("cname", certain=True, code="proved_by_cname", evidence=evidence)
    if by_txt:
        leads = wanted.behind_cdn or address == "flattened"
        return Verdict(
            "txt", certain=True, code="proved_by_txt" if leads else "not_here_yet", evidence=evidence
        )
    certain = facts.host_known and not facts.txt.fault
    return Verdict(None, certain, _what_to_tell(wanted, host, challenge), evidence)


def _what_to_tell(wanted: Wanted, host: str, challenge: str) -> str:
    """Of two things that are missing, name the one that this tenant is at."""
    if wanted.behind_cdn or challenge == "txt_wrong":
        return challenge
    return host


def _host_code(wanted: Wanted, facts: Facts) -> str:
    """Say how the chain of the hostname is, and where there is none, the addresses."""
    heard = facts.v4 if not facts.v4.fault else facts.v6
    if wanted.target in facts.chain:
        return "proved_by_cname"
    if heard.fault:
        return facts.v4.fault
    if facts.chain or heard.looped:
        return _chain_code(wanted, facts, heard)
    if not heard.exists:
        return "no_such_name"
    if not facts.addresses:
        return facts.v4.fault or facts.v6.fault or "no_records"
    return "flattened" if facts.addresses & facts.ours else "address_elsewhere"


def _chain_code(wanted: Wanted, facts: Facts, heard: Heard) -> str:
    """Say where a chain leads that does not pass the target."""
    if heard.looped:
        return "cname_loop"
    targets = f".customers.{wanted.platform_domain}"
    return "cname_other_target" if any(name.endswith(targets) for name in facts.chain) else "cname_elsewhere"


def _challenge_code(wanted: Wanted, facts: Facts) -> str:
    texts = _texts(facts.txt)
    if wanted.token in texts:
        return "proved_by_txt"
    return facts.txt.fault or ("txt_wrong" if texts else "txt_missing")


def _address_code(facts: Facts) -> str:
    """Say whether visitors arrive; all addresses count, for a browser takes any of them."""
    if not facts.addresses:
        return facts.v4.fault or facts.v6.fault or "no_records"
    if not facts.ours:
        return facts.target_v4.fault or facts.target_v6.fault or "target_without_address"
    return "flattened" if facts.addresses <= facts.ours else "address_elsewhere"


def _texts(heard: Heard) -> list[str]:
    """Read TXT values as people paste them: quotes and spaces around the token do no harm."""
    return [value.strip().strip('"').strip() for value in heard.values]


def _evidence(wanted: Wanted, facts: Facts, host: str, challenge: str, address: str) -> tuple[Evidence, ...]:
    names = [_line("cname", _host_heard(facts), wanted.target, host, f"CNAME {wanted.hostname}")]
    names.append(_line("txt", facts.txt, wanted.token, challenge, f"TXT {wanted.txt_name}"))
    if address:
        answer = ", ".join(sorted(facts.addresses)) or facts.v4.fault or facts.v6.fault or str(facts.v4)
        expected = ", ".join(sorted(facts.ours)) or f"the addresses of {wanted.target}"
        asked, resolver = f"A, AAAA {wanted.hostname}", facts.v4.resolver or facts.v6.resolver
        finding = _finding(address, heard=bool(facts.addresses))
        names.append(
            Evidence("address", asked, resolver, answer[:_MOST_CHARACTERS], expected, finding, address)
        )
    return tuple(names)


def _host_heard(facts: Facts) -> Heard:
    heard: Iterable[Heard] = (facts.v4, facts.v6)
    return max(heard, key=lambda each: (not each.fault, len(each.chain)))


def _line(method: Method, heard: Heard, expected: str, code: str, asked: str) -> Evidence:
    good = code in ("proved_by_cname", "proved_by_txt")
    present = bool(heard.chain if method == "cname" else heard.values)
    finding: Finding = "unanswered" if heard.fault else _finding(code, heard=present)
    return Evidence(method, asked, heard.resolver, str(heard), expected, "good" if good else finding, code)


def _finding(code: str, *, heard: bool) -> Finding:
    if code.startswith("dns_"):
        return "unanswered"
    if code == "flattened":
        return "good"
    return "wrong" if heard else "missing"
