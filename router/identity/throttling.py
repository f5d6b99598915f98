"""The counters behind throttle.py's budgets, in whichever cache there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.identity.throttle import (
    ACCOUNT,
    ASK_ACCOUNT,
    ASK_ACCOUNT_DAY,
    ASK_NETWORK,
    ASK_PAIR,
    ASK_SOURCE,
    KNOWN_FOR,
    NETWORK,
    PAIR,
    PAIR_DAY,
    Allowed,
    Budget,
    Tally,
    Wait,
    fingerprint,
    judge,
    network_of,
    tally,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from router.storage.cache import Cache

_Spending = tuple[Budget, tuple[str, ...]]


class Throttle:
    """Counts attempts to sign in, each once, before anything expensive is done for them.

    Counting is atomic in the cache, so a parallel burst is counted one by one. While Redis is away each
    process counts for itself: it fails towards counting too few, never towards refusing everybody.
    ``addresses`` lists where an account's sessions were started (``Sessions.addresses``); it is asked only
    when the cache has forgotten and the account's budget is used up. ``counters`` is how many processes
    count for themselves: 1 with Redis, the number of workers without.
    """

    def __init__(
        self,
        cache: Cache,
        addresses: Callable[[str, str], Awaitable[Iterable[str]]],
        *,
        counters: int = 1,
    ) -> None:
        self._cache = cache
        self._addresses = addresses
        self._counters = counters

    async def spend(self, tenant_id: str, email: str, address: str, now: float) -> Allowed | Wait:
        """Count one attempt on an account and say whether it may be made.

        ``email`` is the normalised address, or whatever was typed; ``now`` is in unix seconds. Raises
        ``Unavailable`` where only the database could tell and it is away.
        """
        network = network_of(address)
        place, account = (tenant_id, email, network), (tenant_id, email)
        here = [(NETWORK, (network,)), (PAIR, place), (PAIR_DAY, place)]
        verdict = await self._all(here, now)
        return (
            verdict
            if isinstance(verdict, Wait)
            else await self._unless_known([(ACCOUNT, account)], place, now)
        )

    async def ask(
        self, form: str, tenant_id: str, email: str, address: str, now: float, *, source: str | None = None
    ) -> Allowed | Wait:
        """Count one use of a form that has a mail sent to an address, as :meth:`spend` does.

        The verdict is to be shown, so it goes by what was done from here alone: nothing in it depends on
        whether there is an account, or from where its owner signs in. Whether the mail goes out is another
        question: :meth:`may_mail`. ``source`` is the id of the invoice's link, or of the user, by which a
        mail goes to any address that is typed.
        """
        network = network_of(address)
        here: list[_Spending] = [
            (ASK_NETWORK, (form, network)),
            (ASK_PAIR, (form, tenant_id, email, network)),
        ]
        if source is not None:
            here.append((ASK_SOURCE, (source,)))
        return await self._all(here, now)

    async def may_mail(self, tenant_id: str, email: str, address: str, now: float) -> bool:
        """Count one mail that an allowed :meth:`ask` leads to, and say whether it may go out.

        What strangers may have sent to one account is counted over all such forms together; its owner, at a
        place from where they signed in before, may always. Tell the answer to nobody: the place shows in it.
        Raises ``Unavailable`` where only the database could tell and it is away.
        """
        account = (tenant_id, email)
        anywhere = [(ASK_ACCOUNT, account), (ASK_ACCOUNT_DAY, account)]
        verdict = await self._unless_known(anywhere, (tenant_id, email, network_of(address)), now)
        return isinstance(verdict, Allowed)

    async def succeeded(self, tenant_id: str, email: str, address: str, now: float) -> None:
        """Remember that the account's owner signs in from here, and give the short budget back."""
        network = network_of(address)
        await self._cache.delete(tally(PAIR, (tenant_id, email, network), now).key)
        await self._cache.set(_known_key(tenant_id, email, network), b"1", KNOWN_FOR)

    async def _all(self, spendings: Sequence[_Spending], now: float) -> Allowed | Wait:
        """Count in each budget, until one is used up."""
        for budget, subject in spendings:
            verdict = await self._count(tally(budget, subject, now), now)
            if isinstance(verdict, Wait):
                return verdict
        return Allowed()

    async def _unless_known(
        self, anywhere: Sequence[_Spending], place: tuple[str, str, str], now: float
    ) -> Allowed | Wait:
        """Count in what strangers share, unless the owner signed in from this place before."""
        if await self._cache.get(_known_key(*place)) is not None:
            return Allowed()
        verdict = await self._all(anywhere, now)
        if isinstance(verdict, Wait) and await self._signed_in_from(*place):
            return Allowed()
        return verdict

    async def _signed_in_from(self, tenant_id: str, email: str, network: str) -> bool:
        if not email.isprintable():  # no account's; PostgreSQL would not even look for a NUL
            return False
        addresses = await self._addresses(tenant_id, email)
        return any(network_of(address) == network for address in addresses)

    async def _count(self, spent: Tally, now: float) -> Allowed | Wait:
        ttl = max(1, spent.ends - int(now))
        count = await self._cache.count(spent.key, ttl)
        return judge(spent, count, now, counters=self._counters)


def _known_key(tenant_id: str, email: str, network: str) -> str:
    return f"throttle:known:{fingerprint(tenant_id, email, network)}"
