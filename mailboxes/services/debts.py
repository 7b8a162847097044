"""Messages that the server listed and did not return: asked for again when their time comes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from mailboxes import errors
from mailboxes.models import FetchDebt, Folder, Mailbox
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.imap import ImapSession
from mailboxes.protocols.imap_fetch import Chunk
from mailboxes.services import chunks
from mailboxes.services.turn import Turn

AT_ONCE = 500


def folders_due(mailbox: Mailbox, now: datetime) -> set[UUID]:
    """The folders where a debt's time has come."""
    return set(
        FetchDebt.objects.filter(folder__mailbox=mailbox, next_try_at__lte=now).values_list("folder_id", flat=True)
    )


def repay(turn: Turn, session: ImapSession, folder: Folder, now: datetime) -> bool:
    """Tries what is due. False when time was over."""
    due = folder.debts.filter(uidvalidity=folder.uidvalidity, next_try_at__lte=now).order_by("-uid")
    tries = dict(due.values_list("uid", "tries")[:AT_ONCE])
    if not tries:
        return True
    stubborn = [
        uid
        for uid, number in tries.items()
        if number > chunks.STUBBORN_AFTER and turn.mailbox.keep == Mailbox.Keep.FULL
    ]
    for uid in stubborn:
        if not turn.goes_on():
            return False
        session.deadline = Deadline(chunks.SECONDS)
        try:
            chunk = _in_parts(session, uid)
        except (errors.ProtocolFault, errors.ConnectionLost):
            # Its parts break the line too: put off like any other try in vain, or every poll would end here.
            chunks.store(turn, folder, Chunk((uid,), [], [uid]), {})
            raise
        chunks.store(turn, folder, chunk, {})
    return chunks.fetch(turn, session, folder, [uid for uid in tries if uid not in stubborn], lambda _: {})


def _in_parts(session: ImapSession, uid: int) -> Chunk:
    """Header and text, which together are the message: some servers give the parts of what they do not give whole."""
    head = session.fetch([uid], section="HEADER")
    text = session.fetch([uid], section="TEXT")
    if not head.messages or not text.messages:
        return Chunk((uid,), [], [uid])
    whole = head.messages[0]
    whole.raw = (whole.raw or b"") + (text.messages[0].raw or b"")
    return Chunk((uid,), [whole], [])
