"""The server's list of folders and ours: which are new, which are gone, which are followed."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from mailboxes import errors
from mailboxes.models import Folder, Mailbox, Message
from mailboxes.protocols.imap_folders import FolderInfo
from mailboxes.services.turn import Turn

SECOND_LOOK = timedelta(hours=1)
LONGEST_NAME = 500  # characters
MESSAGES_AT_ONCE = 2000

Role = Folder.Role
# \Flagged shows messages that lie in other folders as well. \All is followed: what is archived at Gmail lies only there.
_DUPLICATES = (Role.FLAGGED,)
_ORDER = (Role.INBOX, Role.SENT, Role.NONE, Role.ARCHIVE, Role.DRAFTS, Role.ALL, Role.FLAGGED, Role.JUNK, Role.TRASH)


def doubt(mailbox: Mailbox) -> None:
    """What the folders' numbers stand for is looked at anew: the next comparison asks of each UID which message it is."""
    long_ago = timezone.now() - SECOND_LOOK
    mailbox.folders.exclude(uidvalidity=0).update(suspect_since=long_ago, compared_at=None, highestmodseq=0)


def refresh(turn: Turn, listed: list[FolderInfo]) -> list[Folder]:
    """Brings our rows up to date with the LIST; answers the folders to be read, the most wanted first.

    Raises ProtocolFault when the server names no folder at all.
    """
    infos = {info.name: info for info in listed if len(info.name) <= LONGEST_NAME}
    if not any(info.selectable for info in infos.values()):
        raise errors.ProtocolFault("the server lists no folder")
    known = {folder.name: folder for folder in turn.mailbox.folders.all()}
    new = [_new_folder(turn, info, infos) for name, info in infos.items() if name not in known]
    changed = [folder for name, folder in known.items() if name in infos and _take_over(folder, infos[name])]
    if new or changed:
        with turn.write():
            Folder.objects.bulk_create(new)
            for folder in changed:
                folder.save(
                    update_fields=["delimiter", "role", "selectable", "suspect_since", "gone_at", "compared_at"]
                )
    for name, folder in known.items():
        if name not in infos and folder.gone_at is None:
            _missing(turn, folder, timezone.now())
    here = [folder for folder in (*known.values(), *new) if folder.name in infos]
    return sorted((f for f in here if f.followed and f.selectable), key=lambda f: (_ORDER.index(f.role), f.name))


def _new_folder(turn: Turn, info: FolderInfo, infos: dict[str, FolderInfo]) -> Folder:
    others = any(other.selectable and other.role not in _DUPLICATES for other in infos.values())
    return Folder(
        tenant_id=turn.mailbox.tenant_id,
        mailbox=turn.mailbox,
        name=info.name,
        delimiter=info.delimiter,
        role=info.role,
        selectable=info.selectable,
        followed=not (info.role in _DUPLICATES and others),
    )


def _take_over(folder: Folder, info: FolderInfo) -> bool:
    """True when something of the row changed."""
    told = (info.delimiter, info.role, info.selectable)
    back = folder.gone_at is not None
    if (folder.delimiter, folder.role, folder.selectable) == told and not back:
        return False
    folder.delimiter, folder.role, folder.selectable = told
    if back:
        folder.gone_at = folder.suspect_since = folder.compared_at = (
            None  # the next comparison finds its messages again
        )
    return True


def _missing(turn: Turn, folder: Folder, now: datetime) -> None:
    """Gone only when a second look, an hour later and on another connection, does not find it either."""
    if folder.suspect_since is None:
        with turn.write():
            Folder.objects.filter(pk=folder.pk).update(suspect_since=now)
        return
    if now - folder.suspect_since < SECOND_LOOK:
        return
    here = Message.objects.filter(folder=folder, gone_at=None)
    while ids := list(here.order_by("pk").values_list("pk", flat=True)[:MESSAGES_AT_ONCE]):
        with turn.write(counting=(0, 0, len(ids))):
            Message.objects.filter(pk__in=ids).update(gone_at=now)
            Mailbox.objects.filter(pk=turn.mailbox.pk).update(message_count=F("message_count") - len(ids))
    with turn.write():
        folder.debts.all().delete()
        Folder.objects.filter(pk=folder.pk).update(gone_at=now, message_count=0)
