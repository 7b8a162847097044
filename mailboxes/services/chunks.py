"""Messages from the server into the store, a chunk at a time: fetched and packed first, then one short transaction."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import DataError, IntegrityError, OperationalError, ProgrammingError
from django.db.models import F
from django.utils import timezone

from accounts.ids import new_id
from mailboxes import errors
from mailboxes.models import FetchDebt, Folder, Mailbox, Message
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.imap import ImapSession
from mailboxes.protocols.imap_fetch import Chunk, Fetched, chunks_by_size
from mailboxes.services import insert_rows, parse, stop
from mailboxes.services.bodies import PackWriter
from mailboxes.services.turn import Turn

MOST_BYTES = 4 * 1024 * 1024  # of one chunk; a larger message is a chunk of its own
MOST_MESSAGES = 500  # of one chunk
WINDOW = 2000  # UIDs whose sizes are asked for at once
SECONDS = 300.0  # for one window; the wire's own limit of silence is far below
FIRST_RETRY = timedelta(minutes=1)
LAST_RETRY = timedelta(days=1)
STUBBORN_AFTER = 3  # tries in vain: then what came instead of the message is shown, and its parts are asked for
UNREADABLE = "message_unreadable"  # of a row that stands in for a message which is still owed
GREATEST_SIZE = 2**31 - 1  # of the column; what a server says of a size is only believed so far

# Exchange hands out a text of its own in place of a message that it cannot convert (PROVIDERS.md, Microsoft).
# Only as its subject or first words: a letter that quotes the text is a letter.
_PLACEHOLDER = re.compile(
    rb"(?:\A|\n)(?:Subject:[ \t]*|\r?\n\s*)Retrieval using the IMAP4 protocol failed for the following message", re.I
)
_PLACEHOLDER_SIZE = 8192  # bytes; only a short message can be one

_REFUSALS = (DataError, IntegrityError, OperationalError, ProgrammingError, ValueError, OverflowError)

log = logging.getLogger(__name__)

Marks = Callable[[Sequence[int]], dict[str, Any]]
"""The folder's columns once these UIDs are dealt with."""


def fetch(turn: Turn, session: ImapSession, folder: Folder, uids: list[int], marks: Marks) -> bool:
    """Stores the messages with these UIDs of the opened folder, in this order. False when time was over before the end.

    After each chunk the folder's marks are moved in the transaction that stores it. A UID that is not returned becomes
    a debt. Raises what the wire does; the chunks before stay stored.
    """
    for start in range(0, len(uids), WINDOW):
        if not turn.goes_on():
            return False
        session.deadline = Deadline(SECONDS)
        window = uids[start : start + WINDOW]
        planned = list(chunks_by_size(window, session.sizes(window), max_bytes=MOST_BYTES, max_count=_most(turn)))
        if not _fetch_window(turn, session, folder, planned, marks):
            return False
    return True


def _fetch_window(turn: Turn, session: ImapSession, folder: Folder, planned: list[list[int]], marks: Marks) -> bool:
    done = 0

    def wanted() -> Iterator[list[int]]:
        for chunk in planned:
            if not turn.goes_on():
                return
            yield chunk

    section = "" if turn.mailbox.keep == Mailbox.Keep.FULL else "HEADER"
    try:
        for chunk in session.fetch_chunks(wanted(), section=section):
            store(turn, folder, chunk, marks(chunk.asked))
            done += 1
            turn.tell(folder.name)
            if stop.requested():  # what is under way belongs to nobody: leaving here closes the session
                return False
    except (errors.ProtocolFault, errors.ConnectionLost):
        if done < len(planned) and len(planned[done]) == 1:
            # The message itself breaks the line: the folder goes on behind it, and it is tried again on its own.
            lonely = Chunk(tuple(planned[done]), [], planned[done])
            store(turn, folder, lonely, marks(lonely.asked))
        raise
    return done == len(planned)


def _most(turn: Turn) -> int:
    """After a fault in the middle of a transfer ever smaller chunks, down to the message that causes it."""
    if turn.mailbox.reason in (errors.ProtocolFault.code, errors.ConnectionLost.code):
        return max(1, MOST_MESSAGES >> 3 * turn.mailbox.failures)
    return MOST_MESSAGES


def store(turn: Turn, folder: Folder, chunk: Chunk, columns: dict[str, Any]) -> None:
    """Stores the chunk and moves the folder's columns. One message that the database refuses costs no other."""
    try:
        _store(turn, folder, chunk, columns)
    except _REFUSALS as error:
        if not chunk.messages or not _is_of_a_value(error):
            raise
        _store_apart(turn, folder, chunk.messages, error)
        _store(turn, folder, Chunk(chunk.asked, [], chunk.missing), columns)


def _store_apart(turn: Turn, folder: Folder, messages: list[Fetched], error: Exception) -> None:
    """Halved until the message is alone that the database refuses: it is owed, as others that cannot be had now are."""
    if len(messages) == 1:
        uid = messages[0].uid
        # Not its words, which may quote the message.
        what = (type(error).__name__, getattr(error.__cause__, "sqlstate", ""))
        log.error("mailbox %s: UID %d of folder %s cannot be stored: %s %s", turn.mailbox.pk, uid, folder.pk, *what)
        _store(turn, folder, Chunk((uid,), [], [uid]), {}, why="not_storable")
        return
    middle = len(messages) // 2
    for half in (messages[:middle], messages[middle:]):
        store(turn, folder, Chunk(tuple(fetched.uid for fetched in half), half, []), {})


def _is_of_a_value(error: Exception) -> bool:
    """Rather than of the database as a whole, which would refuse anything now."""
    if not isinstance(error, OperationalError):
        return True
    state = getattr(error.__cause__, "sqlstate", None) or ""
    return state.startswith("54")  # PostgreSQL's class "program limit exceeded": a value too large for its index


def _store(turn: Turn, folder: Folder, chunk: Chunk, columns: dict[str, Any], *, why: str = "not_returned") -> None:
    mailbox = turn.mailbox
    tries, standing = _known_as_owed(folder, chunk)
    readable = [fetched for fetched in chunk.messages if not _is_placeholder(fetched)]
    instead = [fetched for fetched in chunk.messages if _is_placeholder(fetched)]
    owed = dict.fromkeys(chunk.missing, why) | {fetched.uid: "placeholder" for fetched in instead}
    shown = [one for one in instead if tries.get(one.uid, 0) > STUBBORN_AFTER and one.uid not in standing]
    rows = [_row(mailbox, folder, fetched) for fetched in readable]
    for row in rows:
        row["id"] = standing.get(row["uid"], row["id"])
    replaced = [row["id"] for row in rows if row["uid"] in standing]
    rows += [_row(mailbox, folder, fetched) | {"unreadable": UNREADABLE} for fetched in shown]
    more = len(rows) - len(replaced)
    writer = PackWriter(mailbox) if mailbox.keep == Mailbox.Keep.FULL else None
    if writer:
        for row, fetched in zip(rows, readable + shown, strict=True):
            row["sha256"] = writer.add(fetched.raw or b"")
        writer.write()
    with turn.write(counting=(more, len(replaced), 0)):
        bodies: dict[str, UUID] = writer.commit() if writer else {}
        stored_at = timezone.now()
        for row in rows:
            row |= {"body_id": bodies.get(row["sha256"]), "stored_at": stored_at}
        if replaced:
            Message.objects.filter(pk__in=replaced).delete()
        insert_rows.insert(Message, mailbox.tenant_id, rows)
        FetchDebt.objects.filter(folder=folder, uid__in=[fetched.uid for fetched in readable]).delete()
        _owe(folder, owed)
        count(folder, more, **columns)
    for name, value in columns.items():
        setattr(folder, name, value)


def _known_as_owed(folder: Folder, chunk: Chunk) -> tuple[dict[int, int], dict[int, UUID]]:
    """Of this chunk's messages by UID: how often those that are owed were tried, and the rows that stand in for them."""
    uids = [fetched.uid for fetched in chunk.messages]
    tries = dict(folder.debts.filter(uidvalidity=folder.uidvalidity, uid__in=uids).values_list("uid", "tries"))
    if not tries:
        return {}, {}
    rows = folder.messages.filter(uidvalidity=folder.uidvalidity, uid__in=uids, unreadable=UNREADABLE, gone_at=None)
    return tries, {uid: pk for uid, pk in rows.values_list("uid", "pk") if uid is not None}


def count(folder: Folder, more: int, **columns: Any) -> None:
    """Inside a transaction: the counters of the folder and its mailbox, and other columns of the folder."""
    if more:
        columns["message_count"] = F("message_count") + more
        Mailbox.objects.filter(pk=folder.mailbox_id).update(message_count=F("message_count") + more)
    if columns:
        Folder.objects.filter(pk=folder.pk).update(**columns)


def _row(mailbox: Mailbox, folder: Folder, fetched: Fetched) -> dict[str, Any]:
    """The columns of its message, but for `sha256`, `body_id` and `stored_at`, which follow.

    What it refers to is the turn's own mailbox, and a folder of that mailbox.
    """
    raw = fetched.raw or b""
    headers = parse.parse(raw)
    return {
        "id": new_id(),
        "tenant_id": mailbox.tenant_id,
        "mailbox_id": mailbox.pk,
        "folder_id": folder.pk,
        "uidvalidity": folder.uidvalidity,
        "uid": fetched.uid,
        "uidl": "",
        "message_id": headers.message_id,
        "in_reply_to": headers.in_reply_to,
        "subject": headers.subject,
        "sender": headers.sender,
        "to": headers.to,
        "cc": headers.cc,
        "search_text": headers.search_text,
        "date": headers.date or fetched.internaldate or timezone.now(),
        "internal_date": fetched.internaldate,
        "size": len(raw) if mailbox.keep == Mailbox.Keep.FULL else min(fetched.size or len(raw), GREATEST_SIZE),
        "flags": list(fetched.flags or ()),
        "has_attachments": headers.has_attachments,
        "sha256": "",
        "emailid": fetched.email_id[:255],
        "mailhub_id": headers.mailhub_id,
        "unreadable": headers.unreadable,
        "gone_at": None,
    }


def _is_placeholder(fetched: Fetched) -> bool:
    raw = fetched.raw or b""
    if len(raw) >= _PLACEHOLDER_SIZE:
        return False
    head, gap, text = raw.partition(b"\r\n\r\n")
    return _PLACEHOLDER.search(head + gap + text.lstrip()[:200].partition(b"\n")[0]) is not None


def _owe(folder: Folder, owed: dict[int, str]) -> None:
    """Debts are asked for again, at growing intervals, until the message comes or the server no longer lists it."""
    now = timezone.now()
    known = {debt.uid: debt for debt in folder.debts.filter(uidvalidity=folder.uidvalidity, uid__in=owed)}
    new = []
    for uid, why in owed.items():
        if debt := known.get(uid):
            pause = min(LAST_RETRY, FIRST_RETRY * 2 ** min(debt.tries, 20))
            FetchDebt.objects.filter(pk=debt.pk).update(why=why, tries=debt.tries + 1, next_try_at=now + pause)
        else:
            new.append(
                FetchDebt(
                    tenant_id=folder.tenant_id,
                    folder=folder,
                    uidvalidity=folder.uidvalidity,
                    uid=uid,
                    why=why,
                    next_try_at=now + FIRST_RETRY,
                )
            )
    FetchDebt.objects.bulk_create(new)
