"""Everybody's mailboxes, and how mail gets into them. Used on the event loop's thread alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from pymap.parsing.specials.flag import Flag

from sandbox.folders import SPECIAL_USE, Folder, FolderState, Mailbox, RawMessage
from sandbox.people import PEOPLE


class PostOffice:
    def __init__(self) -> None:
        self.mailboxes: dict[str, Mailbox] = {}

    async def open(self, kept: dict[tuple[str, str], FolderState]) -> None:
        """Make the mailboxes, with what was kept of an earlier run."""
        for person in PEOPLE:
            mailbox = self.mailboxes[person] = Mailbox()
            names = [name for owner, name in kept if owner == person] if kept else SPECIAL_USE
            for name in names:
                if name != "INBOX":
                    await mailbox.add_mailbox(name)
        for (owner, name), state in kept.items():
            if owner in self.mailboxes:
                (await self.mailboxes[owner].folder(name)).restore(state)

    async def folder(self, person: str, name: str = "INBOX") -> Folder:
        """Raises KeyError."""
        return await self.mailboxes[person.lower()].folder(name)

    def folders(self) -> dict[tuple[str, str], Folder]:
        return {
            (person, name): folder for person, box in self.mailboxes.items() for name, folder in box.folders().items()
        }

    async def deliver(
        self, person: str, raw: bytes, name: str = "INBOX", flags: Iterable[str] = (), date: datetime | None = None
    ) -> RawMessage:
        folder = await self.folder(person, name)
        marks = frozenset(Flag(flag.encode()) for flag in flags)
        return await folder.add(raw, date or datetime.now(UTC), marks)

    async def submit(self, sender: str, recipients: Iterable[str], raw: bytes) -> None:
        """Accepted mail: into each recipient's INBOX, and a copy into the sender's Sent, as Google and Microsoft do."""
        for recipient in dict.fromkeys(address.lower() for address in recipients):
            await self.deliver(recipient, raw)
        try:
            await self.deliver(sender, raw, "Sent", ["\\Seen"])
        except KeyError:  # the folder was deleted by a client; the mail is sent all the same
            await self.deliver(sender, raw, flags=["\\Seen"])

    async def fill(self, person: str, raws: Iterable[bytes], name: str = "INBOX") -> int:
        count = 0
        for count, raw in enumerate(raws, 1):
            await self.deliver(person, raw, name)
            if count % 100 == 0:
                await asyncio.sleep(0)  # thousands at once must not stop the other sessions
        return count
