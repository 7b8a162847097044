"""The periodic set difference: the marks are shortcuts, what the server lists against what we have is the truth."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from mailboxes.models import Folder, Message
from mailboxes.protocols.imap import ImapSession
from mailboxes.protocols.imap_folders import FolderStatus
from mailboxes.services import chunks
from mailboxes.services.folders import SECOND_LOOK
from mailboxes.services.renumber import verify
from mailboxes.services.turn import Turn

EVERY = timedelta(hours=1)
SOONEST = timedelta(minutes=5)  # between two, when the numbers disagree all the time
AT_ONCE = 2000  # rows marked in one transaction
MANY, SHARE = 50, 0.1  # more than both at once is looked at twice


def is_due(folder: Folder, opened: FolderStatus, now: datetime) -> bool:
    """Each hour, or when the server counts other messages than we do."""
    if folder.compared_at is None or now - folder.compared_at >= EVERY:
        return True
    if folder.backfill_uid is not None or now - folder.compared_at < SOONEST:
        return False
    return folder.suspect_since is None and opened.exists != folder.message_count + folder.debts.count()


def compare(turn: Turn, session: ImapSession, folder: Folder, opened: FolderStatus) -> bool:
    """Fetches what is unknown, marks what is gone, brings back what is listed again. False when time was over."""
    now = timezone.now()
    uids = session.uids()
    second_look = folder.suspect_since is not None and now - folder.suspect_since >= SECOND_LOOK
    if second_look:
        verify(turn, session, folder, uids)
    present, hidden = _ours(folder)
    listed = set(uids)
    owed = set(folder.debts.values_list("uid", flat=True))
    _forget_debts(turn, folder, owed - listed)
    _bring_back(turn, folder, hidden & listed)
    # what lies below the backfill's mark comes by itself
    behind = folder.backfill_uid or 0
    unknown = sorted(uid for uid in listed - present - hidden - owed if uid >= behind)
    whole = chunks.fetch(turn, session, folder, unknown, lambda _: {}) if unknown else True
    suspect = _mark_gone(turn, folder, opened, present - listed, len(present), now)
    if whole:
        columns: dict[str, Any] = {"compared_at": now, "suspect_since": suspect}
        if second_look and opened.uidnext:
            columns |= {"uidnext": opened.uidnext, "forward_uid": opened.uidnext - 1}
        with turn.write():
            Folder.objects.filter(pk=folder.pk).update(**columns)
        for name, value in columns.items():
            setattr(folder, name, value)
    return whole


def _ours(folder: Folder) -> tuple[set[int], set[int]]:
    """Our UIDs: those that count as there, and those marked as gone."""
    present: set[int] = set()
    hidden: set[int] = set()
    rows = Message.objects.filter(folder=folder, uidvalidity=folder.uidvalidity, uid__isnull=False)
    for uid, gone_at in rows.values_list("uid", "gone_at").iterator(chunk_size=5000):
        if uid is not None:
            (present if gone_at is None else hidden).add(uid)
    return present, hidden


def _forget_debts(turn: Turn, folder: Folder, uids: set[int]) -> None:
    if uids:
        with turn.write():
            folder.debts.filter(uid__in=uids).delete()


def _bring_back(turn: Turn, folder: Folder, uids: set[int]) -> None:
    for some in _slices(uids):
        with turn.write(counting=(0, len(some), 0)):
            _rows(folder, some).update(gone_at=None)
            chunks.count(folder, len(some))


def _mark_gone(
    turn: Turn, folder: Folder, opened: FolderStatus, vanished: set[int], present: int, now: datetime
) -> datetime | None:
    """Since when this folder is suspect: None when all is well, and after a second look that agreed."""
    left_over = Message.objects.filter(folder=folder, gone_at=None, uid__isnull=False)
    left_over = left_over.exclude(uidvalidity=folder.uidvalidity)  # matched nothing when the folder was renumbered
    gone = len(vanished) + (left_over.count() if folder.backfill_uid is None else 0)
    suspicious = (gone > MANY and gone > SHARE * (present + gone - len(vanished))) or (gone and opened.exists == 0)
    if suspicious or 0 < opened.uidnext < folder.uidnext:
        if folder.suspect_since is None:
            return now
        if now - folder.suspect_since < SECOND_LOOK:
            return folder.suspect_since
    for some in _slices(vanished):
        with turn.write(counting=(0, 0, len(some))):
            _rows(folder, some).update(gone_at=now)
            chunks.count(folder, -len(some))
    while folder.backfill_uid is None and (pks := list(left_over.values_list("pk", flat=True)[:AT_ONCE])):
        with turn.write(counting=(0, 0, len(pks))):
            Message.objects.filter(pk__in=pks).update(gone_at=now)
            chunks.count(folder, -len(pks))
    return None


def _rows(folder: Folder, uids: list[int]) -> QuerySet[Message]:
    return Message.objects.filter(folder=folder, uidvalidity=folder.uidvalidity, uid__in=uids)


def _slices(uids: set[int]) -> list[list[int]]:
    ordered = sorted(uids)
    return [ordered[start : start + AT_ONCE] for start in range(0, len(ordered), AT_ONCE)]
