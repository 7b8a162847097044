"""One look at a mailbox by IMAP: what is new, what changed, what is gone, then a piece of the past. Exactly once.

poll → imap_door (tokens, sign-in) → folders → for each folder: renumber, new mail, flags, debts, compare → backfill.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.utils import timezone

from mailboxes import errors, faults
from mailboxes.models import Folder, Mailbox, Message, SyncRun
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.imap import ImapSession
from mailboxes.protocols.imap_folders import FolderInfo, FolderStatus
from mailboxes.services import chunks, compare, debts, flags, folders, renumber
from mailboxes.services.imap_door import Note, open_imap
from mailboxes.services.leases import Claim
from mailboxes.services.turn import Interrupted, Progress, Turn

SECONDS = 60.0  # for one command that fetches no messages

log = logging.getLogger(__name__)

Connect = Callable[[Mailbox, Note], ImapSession]


def poll(claim: Claim, *, connect: Connect = open_imap, progress: Progress | None = None) -> SyncRun:
    """Reads the mailbox for at most a slice of time and releases the claim. Never raises what a server does to us.

    The run is unsaved when the schedule asked and there was nothing to tell.
    """
    turn: Turn | None = None
    try:
        turn = Turn(claim, progress=progress)
        try:
            with connect(turn.mailbox, turn.note) as session:
                _read(turn, session)
            turn.finish()
        except errors.LeaseLost:
            raise
        except errors.TokenBusy as busy:
            turn.postpone(busy)
        except errors.MailError as error:
            _note_private(turn, error)
            turn.fail(error)
        except Exception as fault:
            log.error("polling mailbox %s failed: %s", claim.mailbox_id, faults.told(fault))  # noqa: TRY400
            turn.fail(errors.MailError(code="sync_internal"))
    except errors.LeaseLost:
        if turn is None:
            return SyncRun(state=SyncRun.State.FAILED, reason=errors.LeaseLost.code)
        turn.lost()
    return turn.run


def _note_private(turn: Turn, error: errors.MailError) -> None:
    if error.private:
        log.info("mailbox %s: %s: %s", turn.mailbox.pk, error.reason, error.private)


def _read(turn: Turn, session: ImapSession) -> None:
    session.deadline = Deadline(SECONDS)
    infos = {info.name: info for info in session.list_folders(with_status=True)}
    followed = folders.refresh(turn, list(infos.values()))
    owing = debts.folders_due(turn.mailbox, timezone.now())
    try:
        for folder in followed:
            if not turn.goes_on():
                return
            with _passing_over(turn, folder):
                _look(turn, session, folder, infos[folder.name], owing=folder.pk in owing)
        for folder in followed:
            if folder.uidvalidity and folder.backfill_uid is not None and turn.goes_on():
                with _passing_over(turn, folder):
                    _fill_back(turn, session, folder)
    except Interrupted:
        turn.unfinished = True
    for folder in followed:
        if folder.role == Folder.Role.INBOX and folder.name in turn.passed_over:
            raise turn.passed_over[folder.name]  # a mailbox without its inbox is no mailbox; the others were read


def _look(turn: Turn, session: ImapSession, folder: Folder, info: FolderInfo, *, owing: bool) -> None:
    """What is new in this folder, what changed, what is gone. Opens it only where its numbers say so."""
    now = timezone.now()
    session.deadline = Deadline(SECONDS)
    status = info.status or session.status(folder.name)
    if not owing and not _moved(folder, status, now):
        return
    opened = session.examine(folder.name)
    if folder.uidvalidity == 0:
        renumber.begin(turn, folder, opened, 0 if opened.uidnext else max(session.uids(), default=0))
    elif folder.uidvalidity != opened.uidvalidity:
        renumber.renumber(turn, session, folder, opened)
    if not (_fetch_new(turn, session, folder, opened) and debts.repay(turn, session, folder, now)):
        return
    session.deadline = Deadline(SECONDS)
    flags.sync(turn, session, folder, opened)
    if compare.is_due(folder, opened, now) and not compare.compare(turn, session, folder, opened):
        return
    _note_seen(turn, folder, opened, now)


@contextmanager
def _passing_over(turn: Turn, folder: Folder) -> Iterator[None]:
    """A folder that cannot be opened (any more), or not be read, does not hold up the others."""
    try:
        yield
    except errors.CommandRefused as error:
        turn.passed_over[folder.name] = error
        log.info("mailbox %s: a folder is passed over: %s", turn.mailbox.pk, error.detail)


def _moved(folder: Folder, status: FolderStatus, now: datetime) -> bool:
    """Is there a reason to open it? Without CONDSTORE flags change unseen: the inbox is then opened each time."""
    seen = (folder.uidvalidity, folder.uidnext, folder.server_count, folder.highestmodseq)
    told = (status.uidvalidity, max(status.uidnext, folder.uidnext), status.exists, status.highestmodseq or 0)
    return (
        seen != told
        or status.uidnext == 0
        or (not status.highestmodseq and folder.role == Folder.Role.INBOX)
        or compare.is_due(folder, status, now)
    )


def _note_seen(turn: Turn, folder: Folder, opened: FolderStatus, now: datetime) -> None:
    """Only now: a turn that was cut short finds the folder's numbers changed again. UIDNEXT never goes back unproven."""
    columns: dict[str, Any] = {
        "uidnext": max(opened.uidnext, folder.uidnext),
        "server_count": opened.exists,
        "highestmodseq": opened.highestmodseq or 0,  # as it was before the fetch
        "last_synced_at": now,
    }
    with turn.write():
        Folder.objects.filter(pk=folder.pk).update(**columns)


def _fetch_new(turn: Turn, session: ImapSession, folder: Folder, opened: FolderStatus) -> bool:
    """All above the forward mark, oldest first, so that the mark can follow. False when time was over."""
    if 0 < opened.uidnext <= folder.forward_uid + 1:
        return True
    uids = _unknown(folder, session.uids(folder.forward_uid + 1))
    whole = chunks.fetch(turn, session, folder, uids, lambda asked: {"forward_uid": max(asked)})
    if whole and opened.uidnext - 1 > folder.forward_uid:  # the newest ones went away before we came
        with turn.write():
            Folder.objects.filter(pk=folder.pk).update(forward_uid=opened.uidnext - 1)
        folder.forward_uid = opened.uidnext - 1
    return whole


def _fill_back(turn: Turn, session: ImapSession, folder: Folder) -> None:
    """All below the backfill's mark, newest first."""
    session.deadline = Deadline(SECONDS)
    opened = session.examine(folder.name)
    if opened.uidvalidity != folder.uidvalidity:
        turn.unfinished = True
        return
    mark = folder.backfill_uid or 1
    uids = _unknown(folder, session.uids(1, mark - 1)) if mark > 1 else []
    uids.reverse()

    def marks(asked: Sequence[int]) -> dict[str, Any]:
        return {"backfill_uid": min(asked)}

    if chunks.fetch(turn, session, folder, uids, marks):
        with turn.write():
            Folder.objects.filter(pk=folder.pk).update(backfill_uid=None)
        folder.backfill_uid = None


def _unknown(folder: Folder, uids: list[int]) -> list[int]:
    """Those that we neither have nor owe."""
    if not uids:
        return []
    ours = Message.objects.filter(folder=folder, uidvalidity=folder.uidvalidity, uid__range=(uids[0], uids[-1]))
    known = set(ours.values_list("uid", flat=True))
    known.update(folder.debts.filter(uidvalidity=folder.uidvalidity).values_list("uid", flat=True))
    return [uid for uid in uids if uid not in known]
