"""``tenant-router keys``: status, rotate, forget."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from router.cli.output import AsJson, Exit, Record, Usage, answer, show_list

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from router.storage.database import Database
    from router.storage.resealing import Resealed
    from router.storage.sealed import Uses

app = App(name="keys", help="The encryption keys of what is sealed: status, rotate, forget.")

_KINDS: Final = ("certificates", "signing keys", "mails", "webhook secrets")
"""What may be sealed (storage/sealed.py), named here so that --help does without the database."""

_SHOWN: Final = 10
_STOPPED: Final = 130


@app.command
async def status(*, as_json: AsJson = False) -> Exit:
    """Show each encryption key by its id, and what it encrypts; exit code 1 where one is missing.

    For example:
        tenant-router keys status
    """
    from router.cli.stores import opened  # noqa: PLC0415 - --help does without the database

    async with opened() as stores:
        rows = _rows(stores.keys, stores.sealed)
    columns = ("key", "role", *_KINDS)
    none = "There is none yet: the router makes one when it is first started (docs/operations.md)."
    show_list(rows, columns, as_json=as_json, none=none)
    return Exit.WRONG if any(row["role"] == "missing" for row in rows) else Exit.OK


@app.command
async def rotate(*, as_json: AsJson = False) -> int:
    """Encrypt with the first key whatever is encrypted with another, while the routers serve.

    Every worker must have the new key already; while a running one has not,
    nothing is done (exit code 5). It may be stopped with Ctrl-C, and goes on
    where it was when it is run again. Exit code 1 where something did not open.

    For example:
        tenant-router keys rotate
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see status
    from router.errors import BadSettings  # noqa: PLC0415 - the same
    from router.storage.resealing import reseal  # noqa: PLC0415 - the same
    from router.storage.sealed import uses  # noqa: PLC0415 - the same
    from router.storage.sealing import Sealer, key_id  # noqa: PLC0415 - the same

    async with opened() as stores:
        keys = stores.keys
        if not keys:
            raise BadSettings("no_encryption_key", "There is no encryption key to encrypt with.")
        await _check_workers(stores.database, key_id(keys[0]))
        stale = sum(sum(counts.values()) for key, counts in stores.sealed.items() if key != key_id(keys[0]))
        stopped = _stop_asked()
        go_on = _progress(stale, stopped, silent=as_json)
        ran = await reseal(stores.database, Sealer(keys), go_on=go_on, actor=actor())
        left = await uses(stores.database)
    left.pop(key_id(keys[0]), None)
    _tell_rotated(ran, keys, left, as_json=as_json)
    if stopped.is_set():
        return _STOPPED
    return Exit.WRONG if ran.unopened else Exit.OK


@app.command
async def forget(
    key: Annotated[str, Parameter(name="KEY", help="The id of the lost key, from `keys status`.")],
    /,
    *,
    it_is_lost: Annotated[
        bool, Parameter(negative=(), help="Yes: nobody has the key, and what it encrypts is to go.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Give up what is encrypted with a key that is lost for good, so that the rest can be served.

    Its certificates have to be uploaded anew, its signing keys are replaced,
    its mails are not sent.

    For example:
        tenant-router keys forget 5f0c4e2b --it-is-lost
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see status
    from router.storage.lost_keys import forget as give_up  # noqa: PLC0415 - the same
    from router.storage.sealed import told  # noqa: PLC0415 - the same

    if not it_is_lost:
        raise Usage("usage", "What it encrypts is deleted: say --it-is-lost when nobody has the key.")
    async with opened() as stores:
        gone = await give_up(stores.database, key.lower(), stores.keys, actor=actor(), now=time.time())
        await stores.bell.ring()
    answer({"key": key.lower(), "given_up": dict(gone)}, f"Given up: {told(gone)}.", as_json=as_json)


async def _check_workers(database: Database, key: str) -> None:
    """Refuse to seal with a key that some running worker could not open with.

    Raises ``Conflict("workers_without_key")``.
    """
    from router.errors import Conflict  # noqa: PLC0415 - see status
    from router.storage.workers import Workers  # noqa: PLC0415 - the same

    alive = await Workers(database).alive(time.time())
    lacking = [f"{each.node}, process {each.pid}" for each in alive if key not in each.key_ids]
    if lacking:
        shown = [*lacking[:_SHOWN], *(["…"] if len(lacking) > _SHOWN else [])]
        raise Conflict(
            "workers_without_key",
            f"{len(lacking)} of {len(alive)} running workers do not have the key {key}, and could not open "
            f"what it encrypts: {'; '.join(shown)}. Give it to every node, replace the workers (SIGHUP), and "
            "try again.",
        )


def _rows(keys: Sequence[bytes], sealed: Uses) -> list[Record]:
    from router.storage.sealing import key_id  # noqa: PLC0415 - see status

    ids = [key_id(key) for key in keys]
    roles = dict.fromkeys(ids, "decrypts") | dict.fromkeys(sealed.keys() - set(ids), "missing")
    if ids:
        roles[ids[0]] = "encrypts"
    return [
        {"key": key, "role": role, **{kind: sealed[key][kind] if key in sealed else 0 for kind in _KINDS}}
        for key, role in roles.items()
    ]


def _stop_asked() -> asyncio.Event:
    """Have Ctrl-C and SIGTERM ask for a stop between two batches, which is when nothing is half done."""
    asked, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    return asked


def _progress(stale: int, stopped: asyncio.Event, *, silent: bool) -> Callable[[Resealed], bool]:
    def go_on(so_far: Resealed) -> bool:
        if not silent:
            done = so_far.done.total() + len(so_far.unopened)
            print(f"{done} of {max(stale, done)}", file=sys.stderr)
        return not stopped.is_set()

    return go_on


def _tell_rotated(ran: Resealed, keys: Sequence[bytes], left: Uses, *, as_json: bool) -> None:
    from router.storage.sealed import told  # noqa: PLC0415 - see status
    from router.storage.sealing import key_id  # noqa: PLC0415 - the same

    former = [key_id(key) for key in keys[1:]]
    free = [key for key in former if key not in left]
    data = {
        "key": key_id(keys[0]),
        "encrypted_anew": {kind: ran.done[kind] for kind in _KINDS},
        "left": {key: dict(counts) for key, counts in left.items()},
        "unopened": ran.unopened,
        "unused": free,
    }
    sentences = [f"Encrypted anew with key {data['key']}: {told(ran.done)}."]
    sentences += [f"Still encrypted with key {key}: {told(counts)}." for key, counts in left.items()]
    sentences += [f"Does not open: {identity}." for identity in ran.unopened[:_SHOWN]]
    if free:
        sentences.append(f"Nothing is encrypted with {', '.join(free)} any more (docs/operations.md).")
    answer(data, *sentences, as_json=as_json)
