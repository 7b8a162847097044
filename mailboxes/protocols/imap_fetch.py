"""FETCH responses read quickly, UIDs written briefly, chunks bounded in bytes."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from imapclient.exceptions import ProtocolError
from imapclient.response_parser import parse_fetch_response

from mailboxes.errors import ProtocolFault
from mailboxes.protocols.imap_wire import Piece, Response

MAX_COMMAND = 8000  # bytes of a UID set in one command (RFC 7162, section 4, advises 8,192)
MAX_UID = 2**32 - 1

_HEAD = re.compile(rb"\d+ FETCH \(", re.I)
_ITEM = re.compile(
    rb" ?(?:(UID|RFC822\.SIZE|X-GM-MSGID) (\d{1,20})|(FLAGS) \(([^()\"{]*)\)|(INTERNALDATE) \"([^\"\\]*)\""
    rb"|(MODSEQ) \((\d{1,20})\)|(EMAILID) \(([^() \"]*)\)|(BODY)\[[^\]\"{]*\] (\{\d+\}|NIL))",
    re.I,
)
_MONTHS = {month: number for number, month in enumerate(b"JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)}


@dataclass(slots=True)
class Fetched:
    """What the server told of one message; None where it told nothing."""

    uid: int
    raw: bytes | None = None
    """The bytes of the section asked for; None when the server sent NIL or nothing."""
    flags: tuple[str, ...] | None = None
    internaldate: dt.datetime | None = None
    size: int | None = None
    """RFC822.SIZE: a hint; at Microsoft it need not be the length of `raw`."""
    modseq: int | None = None
    email_id: str = ""
    """EMAILID (RFC 8474) or X-GM-MSGID: the same message in every folder; '' without that capability."""

    def merge(self, other: Fetched) -> None:
        """A server may tell of one message in several responses: what is told later counts."""
        for name in ("raw", "flags", "internaldate", "size", "modseq"):
            if (value := getattr(other, name)) is not None:
                setattr(self, name, value)
        self.email_id = other.email_id or self.email_id


@dataclass(slots=True)
class Chunk:
    """The answer to one UID FETCH. `missing`: asked for and not returned, or returned without its bytes; `refusal`
    is the server's word for that, where it said NO."""

    asked: tuple[int, ...]
    messages: list[Fetched]
    missing: list[int]
    refusal: str = ""


def read_fetch(response: Response) -> Fetched | None:
    """One FETCH response; None when it names no UID (a change of flags that was not asked for)."""
    fetched = _read_quickly(response.pieces)
    return fetched if fetched is not None else _read_slowly(response.pieces)


def _read_quickly(pieces: list[Piece]) -> Fetched | None:
    """The shapes that servers really send; None for every other, which the full parser then reads."""
    if len(pieces) > 2:
        return None
    raw: bytes | None = None
    text = pieces[0]
    if isinstance(text, tuple):
        text, raw = text
    tail = pieces[1] if len(pieces) == 2 else b""
    head = _HEAD.match(text)
    if head is None or isinstance(tail, tuple):
        return None
    fetched = Fetched(0)
    position = head.end()
    for part, final in ((text, False), (tail, True)) if tail else ((text, True),):
        while found := _ITEM.match(part, position):
            position = found.end()
            key = found[found.lastindex - 1].upper() if found.lastindex else b""
            value = found[found.lastindex or 0]
            if key == b"UID":
                fetched.uid = int(value)
            elif key == b"FLAGS":
                fetched.flags = _flags(value)
            elif key == b"INTERNALDATE":
                fetched.internaldate = internaldate(value)
            elif key == b"RFC822.SIZE":
                fetched.size = int(value)
            elif key == b"MODSEQ":
                fetched.modseq = int(value)
            elif key == b"BODY":
                if value[:1] == b"{" and position != len(part):
                    return None
                fetched.raw = raw if value[:1] == b"{" else None
            else:
                fetched.email_id = _word(value)
        if part[position:] != (b")" if final else b""):
            return None
        position = 0
    return fetched if 0 < fetched.uid <= MAX_UID else None


def _read_slowly(pieces: list[Piece]) -> Fetched | None:
    head = pieces[0] if isinstance(pieces[0], bytes) else pieces[0][0]
    sequence, _, rest = head.partition(b" ")
    _, _, rest = rest.partition(b" ")
    start = sequence + b" " + rest
    first: Piece = start if isinstance(pieces[0], bytes) else (start, pieces[0][1])
    try:
        parsed = parse_fetch_response([first, *pieces[1:]], normalise_times=False, uid_is_key=False)
        (items,) = parsed.values()
    except (ProtocolError, ValueError, TypeError, AttributeError, AssertionError, RecursionError, IndexError) as error:
        raise ProtocolFault("a FETCH response that cannot be read", private=type(error).__name__) from error
    uid = items.get(b"UID")
    if not isinstance(uid, int) or not 0 < uid <= MAX_UID:
        return None
    fetched = Fetched(uid)
    for key, value in items.items():
        _take(fetched, bytes(key), value)
    return fetched


def _take(fetched: Fetched, key: bytes, value: Any) -> None:
    if key == b"FLAGS" and isinstance(value, tuple):
        fetched.flags = _flags(b" ".join(item if isinstance(item, bytes) else str(item).encode() for item in value))
    elif key == b"INTERNALDATE" and isinstance(value, dt.datetime):
        fetched.internaldate = value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
    elif key == b"RFC822.SIZE" and isinstance(value, int):
        fetched.size = value
    elif key == b"MODSEQ" and isinstance(value, tuple) and value and isinstance(value[0], int):
        fetched.modseq = value[0]
    elif key in (b"EMAILID", b"X-GM-MSGID"):
        value = value[0] if isinstance(value, tuple) and value else value
        fetched.email_id = _word(value) if isinstance(value, bytes) else str(value or "")
    elif key.startswith(b"BODY[") and value is not None:
        fetched.raw = value if isinstance(value, bytes) else str(value).encode()


@lru_cache(maxsize=2048)
def _flags(words: bytes) -> tuple[str, ...]:
    """Sorted, each once; `\\Recent` is left out: it is the session's, not the message's."""
    names = {_word(word) for word in words.split()}
    return tuple(sorted(name for name in names if name.lower() != "\\recent"))


def _word(word: bytes) -> str:
    """As text that a database takes: PostgreSQL refuses NUL, in JSON too."""
    return word.decode("utf-8", "replace").replace("\0", "\ufffd")


def internaldate(text: bytes) -> dt.datetime | None:
    """ "dd-Mon-yyyy hh:mm:ss +zzzz" (RFC 3501, date-time) in UTC; None when it is not that."""
    try:
        day, month, year = text[:11].split(b"-")
        hours, minutes, seconds = text[12:20].split(b":")
        sign = -1 if text[21:22] == b"-" else 1
        offset = sign * (int(text[22:24]) * 60 + int(text[24:26]))
        local = dt.datetime(
            int(year), _MONTHS[month.upper()], int(day), int(hours), int(minutes), min(int(seconds), 59), tzinfo=dt.UTC
        )
        return local - dt.timedelta(minutes=offset)
    except (ValueError, KeyError, OverflowError):
        return None


def uid_sets(uids: Iterable[int]) -> Iterator[bytes]:
    """The UIDs as sets such as b"1:5,9", each short enough for one command."""
    parts: list[bytes] = []
    length = 0
    for first, last in _runs(sorted(set(uids))):
        part = b"%d" % first if first == last else b"%d:%d" % (first, last)
        if parts and length + len(part) + 1 > MAX_COMMAND:
            yield b",".join(parts)
            parts, length = [], 0
        parts.append(part)
        length += len(part) + 1
    if parts:
        yield b",".join(parts)


def _runs(uids: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for position in range(1, len(uids) + 1):
        if position == len(uids) or uids[position] != uids[position - 1] + 1:
            yield uids[start], uids[position - 1]
            start = position


def read_uid_set(text: bytes, *, at_most: int) -> list[int]:
    """A set from an ESEARCH response (RFC 4731). Raises ProtocolFault when it names more than `at_most` UIDs."""
    found: list[int] = []
    for part in text.split(b","):
        first, colon, last = part.partition(b":")
        if not first.isdigit() or (colon and not last.isdigit()):
            raise ProtocolFault("a set of UIDs that cannot be read")
        low, high = sorted((int(first), int(last or first)))
        if low < 1 or high > MAX_UID or len(found) + high - low >= at_most:
            raise ProtocolFault("a set of more UIDs than the folder has messages")
        found.extend(range(low, high + 1))
    return found


def chunks_by_size(
    uids: Iterable[int], sizes: Mapping[int, int], *, max_bytes: int, max_count: int = 500
) -> Iterator[list[int]]:
    """The UIDs in their order, cut where a chunk would pass `max_bytes`; a larger message is a chunk of its own."""
    chunk: list[int] = []
    total = 0
    for uid in uids:
        size = sizes.get(uid, 0)
        if chunk and (total + size > max_bytes or len(chunk) >= max_count):
            yield chunk
            chunk, total = [], 0
        chunk.append(uid)
        total += size
    if chunk:
        yield chunk
