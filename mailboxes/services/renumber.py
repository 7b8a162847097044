"""A folder whose UIDs mean other messages than before: what we have is matched again, the rest fetched as new."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from mailboxes.models import Folder, Message
from mailboxes.protocols.imap import ImapSession
from mailboxes.protocols.imap_folders import FolderStatus
from mailboxes.services import chunks, flags, identity, stop
from mailboxes.services.turn import Interrupted, Turn

AT_ONCE = 500  # rows changed in one transaction
Item = TypeVar("Item")


def first_marks(opened: FolderStatus, greatest: int) -> dict[str, Any]:
    """The columns of a folder that was never opened, or is read anew: all of it lies behind the backfill's mark.

    `greatest`: the highest UID listed, for servers that do not tell UIDNEXT.
    """
    forward = max(opened.uidnext - 1, greatest)
    return {
        "uidvalidity": opened.uidvalidity,
        "uidnext": opened.uidnext,
        "highestmodseq": 0,
        "forward_uid": forward,
        "backfill_uid": forward + 1,
        "compared_at": timezone.now(),
        "suspect_since": None,
    }


def begin(turn: Turn, folder: Folder, opened: FolderStatus, greatest: int) -> None:
    """Sets the first marks of this numbering."""
    columns = first_marks(opened, greatest)
    with turn.write():
        folder.debts.all().delete()
        Folder.objects.filter(pk=folder.pk).update(**columns)
    for name, value in columns.items():
        setattr(folder, name, value)


def renumber(turn: Turn, session: ImapSession, folder: Folder, opened: FolderStatus) -> None:
    """UIDVALIDITY changed (RFC 3501, 2.3.1.1). May take longer than a slice: matching half a folder proves nothing."""
    uids = session.uids()
    here = Message.objects.filter(folder=folder, uid__isnull=False)
    known = set(here.filter(uidvalidity=opened.uidvalidity).values_list("uid", flat=True))
    ours = identity.names(identity.stored(here.filter(gone_at=None).exclude(uidvalidity=opened.uidvalidity)))
    if ours:
        theirs, told = _listed(turn, session, [uid for uid in uids if uid not in known])
        for some in _slices(identity.one_to_one(ours, theirs).items()):
            with turn.write():
                for pk, uid in some:
                    row = Message.objects.filter(pk=pk)
                    row.update(uidvalidity=opened.uidvalidity, uid=uid, flags=list(told[uid]))
    begin(turn, folder, opened, max(uids, default=0))


def verify(turn: Turn, session: ImapSession, folder: Folder, uids: list[int]) -> None:
    """The server's numbers may have gone back and been given again: each UID must still be the message we have.

    A row that is another message by now loses its number and counts as gone; its UID is unknown then, and is fetched.
    """
    ours = Message.objects.filter(folder=folder, uidvalidity=folder.uidvalidity, uid__isnull=False)
    theirs, told = _listed(turn, session, uids)
    for some in _slices(_others(ours.filter(gone_at=None), theirs)):
        with turn.write(counting=(0, 0, len(some))):
            Message.objects.filter(pk__in=some).update(uid=None, gone_at=timezone.now())
            chunks.count(folder, -len(some))
    for some in _slices(_others(ours.exclude(gone_at=None), theirs)):  # or they would come back as what they are not
        with turn.write():
            Message.objects.filter(pk__in=some).update(uid=None)
    flags.take_over(turn, folder, told.items())


def _others(ours: QuerySet[Message], theirs: dict[int, identity.Identity]) -> list[UUID]:
    return [pk for pk, uid, mine in identity.stored(ours) if uid in theirs and not identity.same(mine, theirs[uid])]


def _listed(
    turn: Turn, session: ImapSession, uids: list[int]
) -> tuple[dict[int, identity.Identity], dict[int, tuple[str, ...]]]:
    """Who these messages are, and their flags. Raises Interrupted when the worker shall stop."""
    theirs: dict[int, identity.Identity] = {}
    told: dict[int, tuple[str, ...]] = {}
    for batch in identity.listed(session, uids):
        turn.hold()
        if stop.requested():
            raise Interrupted
        for fetched, who in batch:
            theirs[fetched.uid] = who
            told[fetched.uid] = fetched.flags or ()
    return theirs, told


def _slices(items: Iterable[Item]) -> Iterator[list[Item]]:
    left = iter(items)
    while some := list(islice(left, AT_ONCE)):
        yield some
