"""Signing in: the one way from an e-mail address and a password to a session."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from router.errors import BadInput, Conflict, Unavailable
from router.identity.sessions import key_of
from router.identity.throttle import Wait
from router.identity.users import normalise_email

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.identity.passwords import Passwords
    from router.identity.sessions import Sessions
    from router.identity.throttling import Throttle
    from router.identity.user import User
    from router.identity.users import Users
    from router.observe.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nobody was signed in, or nothing else was done, as far as the person who tried may know.

    ``retry_after`` is in seconds, where waiting would help.
    """

    code: Literal["sign_in_refused", "too_many_attempts", "password_wrong"]
    sentence: str
    retry_after: int | None = None


WRONG: Final = Refused("sign_in_refused", "The e-mail address or the password is not right.")
"""The one answer for an unknown address, a disabled user and a wrong password."""


class SignIn:
    """Checks who somebody is, with the same effort and the same answer whoever is unknown.

    An attempt is counted before anything else; then exactly one Argon2 verification is done, for an unknown
    or disabled user against a hash that nothing matches.
    """

    def __init__(
        self,
        users: Users,
        passwords: Passwords,
        throttle: Throttle,
        sessions: Sessions,
        *,
        traffic: Traffic | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._throttle = throttle
        self._sessions = sessions
        self._traffic = traffic
        self._clock = clock

    async def attempt(
        self,
        tenant_id: str,
        email: str,
        password: str,
        address: str,
        user_agent: str,
        *,
        previous: str | None = None,
        remember: bool = False,
    ) -> str | Refused:
        """Try to sign in; the answer is a new session's token, or why not.

        ``previous`` is the session token the browser came with, if any: it ends, so that nothing planted
        before the sign-in works after it. ``remember`` is what ``Sessions.start`` says. Raises
        ``Unavailable`` (database away, or ``busy``).
        """
        now = self._clock()
        account, plausible = _account(email)
        verdict = await self._throttle.spend(tenant_id, account, address, now)
        if isinstance(verdict, Wait):
            return too_many(verdict.seconds)
        user = await self._users.find_by_email(tenant_id, account) if plausible else None
        stored = None if user is None or user.disabled else user.password_hash
        if not await self._passwords.verify(stored, password) or user is None:
            return WRONG
        try:
            token, _session = await self._sessions.start(
                tenant_id, user, address=address, user_agent=user_agent, now=now, remember=remember
            )
        except Conflict:  # disabled, or given another password, while this one was being verified
            return WRONG
        if self._traffic is not None:
            self._traffic.signed_in(tenant_id)
        await self._settle(user, password, address, previous)
        return token

    async def _settle(self, user: User, password: str, address: str, previous: str | None) -> None:
        await self._throttle.succeeded(user.tenant_id, user.email, address, self._clock())
        # They are signed in by now: what is left undone here is done at the next sign-in, or ends by itself.
        with suppress(Unavailable):
            if previous is not None:
                await self._sessions.revoke(key_of(previous))
            if self._passwords.outdated(user.password_hash):
                await self._users.replace_hash(user, await self._passwords.hash(password))


def _account(email: str) -> tuple[str, bool]:
    """Name the account for counting, and say whether an account can have that name at all."""
    try:
        return normalise_email(email), True
    except BadInput:
        return email[:500].casefold(), False


def too_many(seconds: int) -> Refused:
    """Refuse for ``seconds``, told in minutes."""
    minutes = max(1, round(seconds / 60))
    wait = f"{minutes} minutes" if minutes > 1 else "a minute"
    return Refused("too_many_attempts", f"Too many attempts. Please try again in {wait}.", seconds)
