"""The mails that identity asks for, and what each tells: the facts that a theme's mail templates fill in.

| kind | to | facts |
| --- | --- | --- |
| ``invitation`` | who is invited | ``token``, ``customer``, ``expires_at`` |
| ``registration`` | who registers | ``token``, ``customer``, ``expires_at`` |
| ``already-registered`` | who registers, or is to be an address, and is a user already | ``at`` |
| ``reset`` | who forgot | ``token``, ``expires_at`` |
| ``password-changed`` | the user | ``at``, ``address`` |
| ``confirm-email`` | the new address | ``token``, ``new_email``, ``expires_at`` |
| ``email-change-asked`` | the old address | ``new_email``, ``at``, ``address`` |
| ``email-changed`` | the old address | ``new_email``, ``at`` |

Times are unix seconds; ``address`` is the client's IP address, empty where nobody knows it. The link is made
by whoever composes, on the tenant's own hostname: ``/-/invitation``, ``/-/confirm``, ``/-/reset`` and
``/-/confirm-email``, each with ``?t=`` and the token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.errors import Conflict

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.outbox import Mail, Outbox


async def insist(outbox: Outbox, connection: AsyncConnection, mail: Mail, now: float) -> None:
    """Queue a mail without which the transaction is pointless; last of all in it.

    Raises ``Conflict("enough_mail")``, for the transaction to be rolled back, when the recipient has had as
    many mails as anyone gets: so the links of the mails they have stay good.
    """
    if not await outbox.post(connection, mail, now):
        raise Conflict(
            "enough_mail",
            f"{mail.recipient} has had as many mails from this portal as anyone gets in an hour, or a day. "
            "Use the latest one, or try again later.",
        )
