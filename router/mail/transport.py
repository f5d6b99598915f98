"""Where mails go: to a mail server, or into a folder for whoever tries things out."""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import TYPE_CHECKING, Protocol

from router.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from router.mail.message import Message


class Refused(BadInput):
    """This mail will never be taken: its recipient does not exist, or its content is not wanted."""


class Transport(Protocol):
    """Sends one mail at a time; several may be under way at once."""

    async def send(self, message: Message) -> str:
        """Hand a mail on, and answer the last word of whoever took it.

        Raises ``Refused`` when trying again is of no use, ``Unavailable`` when it may be. After a
        cancellation, or ``Unavailable``, it may have been taken all the same.
        """
        ...


class FolderTransport:
    """Writes each mail as a file ``<id>.eml`` into a folder, whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"<FolderTransport {self._folder}>"

    async def send(self, message: Message) -> str:
        """Write the file; one of the same mail is replaced.

        Raises ``Unavailable("mail_folder_unusable")``.
        """
        try:
            path = await asyncio.to_thread(self._write, message)
        except OSError as fault:
            sentence = f"Mails cannot be written into {self._folder}: {fault.strerror}."
            raise Unavailable("mail_folder_unusable", sentence) from fault
        return f"Written to {path}."

    def _write(self, message: Message) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{message.id}.eml"
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        # For the owner alone: the links in it open accounts.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(message.octets)
        return draft.replace(path)
