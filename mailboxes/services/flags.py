"""What changed about messages that we have: read, answered, starred …"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from mailboxes.models import Folder, Message
from mailboxes.protocols.imap import ImapSession
from mailboxes.protocols.imap_folders import FolderStatus
from mailboxes.services.turn import Turn

RECENT = 200  # newest messages whose flags are read again where the server has no CONDSTORE
AT_ONCE = 1000  # messages compared in one transaction

Flags = Iterable[tuple[int, tuple[str, ...]]]


def sync(turn: Turn, session: ImapSession, folder: Folder, opened: FolderStatus) -> None:
    """With CONDSTORE (RFC 7162) exactly what changed since the last look, else the newest messages' flags."""
    if opened.highestmodseq:
        if folder.highestmodseq and opened.highestmodseq > folder.highestmodseq:
            take_over(turn, folder, session.flags(changed_since=folder.highestmodseq))
        return
    newest = Message.objects.filter(folder=folder, uidvalidity=folder.uidvalidity, gone_at=None)
    uids = list(newest.order_by("-uid").values_list("uid", flat=True)[:RECENT])
    if uids:
        take_over(turn, folder, session.flags([uid for uid in uids if uid is not None]))


def take_over(turn: Turn, folder: Folder, told: Flags) -> None:
    """Stores the flags that differ from ours. Messages that we do not have are left to the fetch."""
    batch: dict[int, tuple[str, ...]] = {}
    for uid, flags in told:
        batch[uid] = flags
        if len(batch) >= AT_ONCE:
            _store(turn, folder, batch)
            batch = {}
    _store(turn, folder, batch)


def _store(turn: Turn, folder: Folder, told: dict[int, tuple[str, ...]]) -> None:
    if not told:
        return
    ours = Message.objects.filter(folder=folder, uidvalidity=folder.uidvalidity, uid__in=told)
    changed: defaultdict[tuple[str, ...], list[UUID]] = defaultdict(list)
    for pk, uid, flags in ours.values_list("pk", "uid", "flags"):
        if uid is not None and list(told[uid]) != flags:
            changed[told[uid]].append(pk)
    if changed:
        with turn.write(counting=(0, sum(map(len, changed.values())), 0)):
            for flags, pks in changed.items():
                Message.objects.filter(pk__in=pks).update(flags=list(flags))
