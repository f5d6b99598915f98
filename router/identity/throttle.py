"""How many attempts to sign in are too many: budgets, and the verdict on a count.

PURE. Four budgets are spent in this order, and the first that is used up answers, so that a refused attempt
never spends what stands behind it:

1. ``network``: all attempts from one network (an IPv4 address, an IPv6 /64), against spraying;
2. ``pair``: one account from one network, in a quarter of an hour;
3. ``pair-day``: the same, in a day;
4. ``account``: one account from all networks that never signed in to it, in a day: NIST SP 800-63B
   section 3.2.2 allows 100. A network from which the account's owner signed in before is not counted here,
   so strangers can use this budget up and still lock nobody out of a known place.

Attempts for accounts that do not exist are counted alike, so the answer tells nothing about an account.

Forms that have a mail sent (``ask-…``) have budgets of their own in the same order: those of a network for
each such form, those of an account for all of them together. The latter are below what the outbox lets one
recipient have (storage/outbox.py), so that strangers who use them up leave some for its owner, at a place
from where they signed in before. Nobody is told that they are used up: the answer is the one that promises a
mail, and none goes out. Otherwise the owner's own place would show, to whoever shares it: there one more is
granted for an address that is known. And what has mails sent to whatever address is typed (an invoice's link,
a user who wants another one) has ``ask-source``, wherever it is used from: nobody writes to the world by it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

KNOWN_FOR: Final = 90 * 86_400
"""Seconds for which a network counts as known after its last sign-in to an account."""


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``limit`` attempts in each window of ``window`` seconds.

    Where several processes count for themselves, none of them grants less than ``floor``.
    """

    name: str
    limit: int
    window: int
    floor: int = 1


NETWORK: Final = Budget("network", 200, 900)
PAIR: Final = Budget("pair", 10, 900, floor=5)  # a person mistypes a few times, always at the same worker
PAIR_DAY: Final = Budget("pair-day", 100, 86_400)
ACCOUNT: Final = Budget("account", 100, 86_400)

ASK_NETWORK: Final = Budget("ask-network", 50, 900)
ASK_PAIR: Final = Budget("ask-pair", 4, 900, floor=4)
ASK_ACCOUNT: Final = Budget("ask-account", 3, 3600, floor=3)
ASK_ACCOUNT_DAY: Final = Budget("ask-account-day", 10, 86_400, floor=3)
ASK_SOURCE: Final = Budget("ask-source", 20, 86_400, floor=5)


@dataclass(frozen=True, slots=True)
class Tally:
    """One budget's counter for one subject in the present window; ``ends`` is when the window does."""

    budget: Budget
    key: str
    ends: int


@dataclass(frozen=True, slots=True)
class Allowed:
    """The attempt may be made."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The attempt may not be made; trying again makes sense after ``seconds``."""

    seconds: int


def network_of(address: str) -> str:
    """Name the network that one person controls: the IPv4 address, or the IPv6 /64 (RFC 6177 section 2).

    What is not an address is its own network: the caller got it from the edge, which knows the peer.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv4Address):
        return str(ip)
    return _network_of_ipv6(ip)


def _network_of_ipv6(ip: IPv6Address) -> str:
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(IPv6Network((int(ip), 64), strict=False))


def tally(budget: Budget, subject: tuple[str, ...], now: float) -> Tally:
    """Name the counter of ``subject`` in the window that holds ``now``.

    Windows are staggered by subject, so that not all of them begin anew at midnight. The key is a digest: it
    names no person, and no two subjects share one whatever characters are in them.
    """
    digest = fingerprint(budget.name, *subject)
    offset = int(digest[:8], 16) % budget.window
    window = (int(now) + offset) // budget.window
    return Tally(budget, f"throttle:{budget.name}:{digest}:{window}", (window + 1) * budget.window - offset)


def fingerprint(*parts: str) -> str:
    """Digest a subject; the lengths are part of it, so ``a:b`` and ``a``, ``b`` differ."""
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def judge(spent: Tally, count: int, now: float, *, counters: int = 1) -> Allowed | Wait:
    """Judge a tally after this attempt was counted in it.

    ``counters`` is how many processes count for themselves (workers without Redis): each grants its share
    of the limit, so that together they stay within it (but for a budget with a floor).
    """
    if count <= share(spent.budget, counters):
        return Allowed()
    return Wait(max(1, spent.ends - int(now)))


def share(budget: Budget, counters: int) -> int:
    """Say how many attempts one of several processes grants, each of which counts for itself."""
    return max(budget.floor, budget.limit // counters)
