"""Mailboxes in memory, on pymap's data structures: the only file that touches pymap's private fields.

pymap keeps each message as a parsed tree (50 KiB for a small one). Here a message is its raw bytes, parsed when a client
asks for the structure, and given back byte for byte.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from pymap.backend.dict.mailbox import LoadedMessage, MailboxData, MailboxSet, Message
from pymap.bytes import Writeable
from pymap.mailbox import MailboxSnapshot
from pymap.mime import MessageContent
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import FetchRequirement, ObjectId
from pymap.parsing.specials.flag import Flag, Recent, Wildcard, get_system_flags
from pymap.selected import SelectedMailbox

SPECIAL_USE = ("Sent", "Drafts", "Archive", "Junk", "Trash")  # folder and attribute (RFC 6154) have the same name
FIRST_ID = re.compile(rb"^(?:references|message-id):\s*(<[^>]*>)", re.IGNORECASE | re.MULTILINE)

BLANK_LINE = re.compile(rb"(?:\A|\n)\r?\n")
FIELD = re.compile(rb"^[^\s:][^\n]*\n(?:[ \t][^\n]*\n)*", re.MULTILINE)  # with its folded lines (RFC 5322, 2.2.3)


class Loaded(LoadedMessage):
    """A message opened for a FETCH or SEARCH."""

    def __init__(self, message: RawMessage, requirement: FetchRequirement) -> None:
        super().__init__(message, requirement, None)
        self._raw = message.raw

    @property
    def content(self) -> MessageContent:
        if self._content is None:
            self._content = MessageContent.parse(self._raw)
        return self._content

    def get_body(self, section: Sequence[int] | None = None, binary: bool = False) -> Writeable:
        return Writeable.wrap(self._raw) if not section and not binary else super().get_body(section, binary)

    # Headers are what a sync reads most: cut from the raw bytes, without parsing the message.

    def get_message_headers(
        self, section: Sequence[int] | None = None, subset: Collection[bytes] | None = None, inverse: bool = False
    ) -> Writeable:
        if section:
            return super().get_message_headers(section, subset, inverse)
        head = self._raw[: self._head_end()]
        if subset is None:
            return Writeable.wrap(head)
        fields = (
            field for field in FIELD.findall(head) if inverse != (field.partition(b":")[0].strip().upper() in subset)
        )
        return Writeable.wrap(b"".join(fields) + b"\r\n")

    def get_message_text(self, section: Sequence[int] | None = None) -> Writeable:
        return super().get_message_text(section) if section else Writeable.wrap(self._raw[self._head_end() :])

    def _head_end(self) -> int:
        """Where the body begins: after the first empty line."""
        blank = BLANK_LINE.search(self._raw)
        return blank.end() if blank else len(self._raw)

    def get_size(self, section: Sequence[int] | None = None) -> int:
        return super().get_size(section) if section else len(self._raw)


class RawMessage(Message):
    __slots__ = ["digest", "raw"]

    def __init__(
        self,
        uid: int,
        date: datetime,
        flags: Iterable[Flag],
        raw: bytes,
        *,
        recent: bool = False,
        expunged: bool = False,
    ) -> None:
        self.raw = raw
        self.digest = hashlib.sha256(raw).hexdigest()
        head = raw.partition(b"\r\n\r\n")[0][:65536]
        first = sorted(FIRST_ID.findall(head), key=head.index)[:1] or [raw]
        super().__init__(
            uid,
            date,
            flags,
            recent=recent,
            expunged=expunged,
            email_id=ObjectId(b"M" + self.digest[:32].encode()),  # the same for the same bytes (RFC 8474, section 4)
            thread_id=ObjectId.new_thread_id(hashlib.sha256(first[0]).digest()[:16]),
        )

    def at(self, uid: int, *, recent: bool = False, expunged: bool = False) -> RawMessage:
        return RawMessage(uid, self.internal_date, self.permanent_flags, self.raw, recent=recent, expunged=expunged)

    async def load_content(self, requirement: FetchRequirement) -> LoadedMessage:
        return Loaded(self, requirement)


@dataclass(frozen=True)
class FolderState:
    """What is kept of a folder over a restart; messages as (uid, date, flags, digest, raw)."""

    mailbox_id: str
    uid_validity: int
    max_uid: int
    messages: list[tuple[int, str, list[str], str, bytes]]


class Folder(MailboxData):
    @property
    def permanent_flags(self) -> frozenset[Flag]:
        return (get_system_flags() - {Recent}) | {Flag(bytes(Wildcard))}  # the wildcard: keywords are kept too

    def mark(self) -> tuple[int, int, int]:
        """Changes whenever anything in the folder does."""
        return self._uid_validity, self._max_uid, self._mod_sequences.highest

    def listing(self) -> list[RawMessage]:
        return [cast(RawMessage, message) for message in self._messages.values()]

    async def add(self, raw: bytes, date: datetime, flags: Iterable[Flag], *, recent: bool = True) -> RawMessage:
        async with self.messages_lock.write_lock():
            self._max_uid = uid = self._max_uid + 1
            message = RawMessage(uid, date, flags, raw, recent=recent)
            self._messages[uid] = message
            self._mod_sequences.update([uid])
            self._updated.set()
            return message

    async def claim_recent(self, selected: SelectedMailbox) -> None:
        if any(message.recent for message in self._messages.values()):  # else a SELECT would count as a change
            await super().claim_recent(selected)

    async def append(self, append_msg: AppendMessage, *, recent: bool = False) -> Message:
        when = append_msg.when or datetime.now(UTC)
        return await self.add(bytes(append_msg.literal), when, append_msg.flag_set, recent=recent)

    async def copy(self, uid: int, destination: MailboxData, *, recent: bool = False) -> int | None:
        message = cast("RawMessage | None", self._messages.get(uid))
        if message is None:
            return None
        date, flags = message.internal_date, message.permanent_flags
        return (await cast(Folder, destination).add(message.raw, date, flags, recent=recent)).uid

    async def move(self, uid: int, destination: MailboxData, *, recent: bool = False) -> int | None:
        copied = await self.copy(uid, destination, recent=recent)
        if copied is not None:
            await self.delete([uid])
        return copied

    async def get(self, uid: int, cached_msg: object) -> Message:
        async with self.messages_lock.read_lock():
            message = self._messages.get(uid)
        return message or cast(RawMessage, cached_msg).at(uid, expunged=True)

    async def delete(self, uids: Iterable[int]) -> None:
        await super().delete([uid for uid in uids if uid in self._messages])

    async def rebuild(self) -> None:
        """As a server does that lost its index: a new UIDVALIDITY (greater, RFC 3501, 2.3.1.1) and UIDs from 1."""
        async with self.messages_lock.write_lock():
            messages = self.listing()
            self._mod_sequences.expunge(list(self._messages))
            self._messages = {uid: message.at(uid) for uid, message in enumerate(messages, 1)}
            self._max_uid = len(messages)
            self._mod_sequences.update(list(self._messages))
            self._uid_validity = max(MailboxSnapshot.new_uid_validity(), self._uid_validity + 1)
            self._updated.set()

    def state(self) -> FolderState:
        rows = [
            (m.uid, m.internal_date.isoformat(), sorted(bytes(f).decode() for f in m.permanent_flags), m.digest, m.raw)
            for m in self.listing()
        ]
        return FolderState(self._mailbox_id.value.decode(), self._uid_validity, self._max_uid, rows)

    def restore(self, state: FolderState) -> None:
        self._mailbox_id = ObjectId(state.mailbox_id.encode())
        self._uid_validity, self._max_uid = state.uid_validity, state.max_uid
        for uid, date, flags, _, raw in state.messages:
            marks = frozenset(Flag(flag.encode()) for flag in flags)
            self._messages[uid] = RawMessage(uid, datetime.fromisoformat(date), marks, raw)
        self._mod_sequences.update(list(self._messages))


class Mailbox(MailboxSet):
    """All folders of one person."""

    def __init__(self) -> None:
        super().__init__()
        self._inbox = self._new()

    def _new(self) -> Folder:
        return Folder(self._content_cache, self._thread_cache)

    async def add_mailbox(self, name: str) -> ObjectId:
        async with self._set_lock.write_lock():
            if name in self._set:
                raise ValueError(name)
            self._set[name] = folder = self._new()
            return folder.mailbox_id

    async def rename_mailbox(self, before: str, after: str) -> None:
        await super().rename_mailbox(before, after)
        if before == "INBOX":  # its messages moved (RFC 3501, 6.3.5); pymap put a folder of its own kind in its place
            self._inbox = self._new()

    async def folder(self, name: str = "INBOX") -> Folder:
        """Raises KeyError."""
        return cast(Folder, await self.get_mailbox(name))

    def folders(self) -> dict[str, Folder]:
        return {name: cast(Folder, folder) for name, folder in {"INBOX": self._inbox, **self._set}.items()}
