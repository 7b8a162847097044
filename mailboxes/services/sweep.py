"""Keeps the packs tidy: gives up files that no chunk came back for, and puts small files together. Never loses a body."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F, Sum
from django.utils import timezone

from mailboxes import errors
from mailboxes.models import Body, Pack
from mailboxes.services import packs

KEPT = timedelta(hours=24)  # of what was given up or merged: readers and restored backups may still ask for it
SMALL = 1024 * 1024  # bytes; larger packs are left alone
FULL = 8 * 1024 * 1024  # bytes of a merged pack
FEWEST = 8  # small packs of one mailbox that are worth a merge

log = logging.getLogger(__name__)


def sweep(now: datetime | None = None) -> tuple[int, int]:
    """Files removed, files merged."""
    now = now or timezone.now()
    _give_up(now)
    removed = sum(_remove(pack) for pack in Pack.objects.filter(state=Pack.State.MERGED, changed_at__lte=now - KEPT))
    merged = sum(_merge(some, now) for some in _small_ones())
    return removed, merged


def _give_up(now: datetime) -> None:
    """A chunk that comes back after a day finds its pack no longer `writing`, and starts again."""
    old = Pack.objects.filter(state=Pack.State.WRITING, created_at__lte=now - KEPT)
    old.update(state=Pack.State.MERGED, changed_at=F("created_at"))


def _remove(pack: Pack) -> bool:
    """The file first: a row without a file is removed by the next sweep, a file without a row would stay forever."""
    if pack.bodies.exists():
        log.error("pack %s is marked as merged but still holds bodies: it stays", pack.name)
        return False
    packs.storage().delete(pack.name)
    pack.delete()
    return True


def _small_ones() -> Iterator[list[Pack]]:
    """Groups of small packs, each of one mailbox and together not larger than FULL."""
    small = Pack.objects.filter(state=Pack.State.LIVE, size__lt=SMALL)
    many = small.values("mailbox").annotate(count=Count("pk"), bytes=Sum("size")).filter(count__gte=FEWEST)
    mailboxes: list[UUID] = list(many.order_by("mailbox").values_list("mailbox", flat=True))
    for mailbox in mailboxes:
        group: list[Pack] = []
        for pack in small.filter(mailbox=mailbox).select_related("mailbox").order_by("created_at", "pk"):
            if group and sum(one.size for one in group) + pack.size > FULL:
                yield group
                group = []
            group.append(pack)
        if len(group) > 1:
            yield group


def _merge(small: list[Pack], now: datetime) -> int:
    """One file after the other into a new one; the bodies keep their ciphertext and only move."""
    if len(small) < 2:
        return 0
    try:
        contents = [_whole(pack) for pack in small]
    except (OSError, errors.StorageFault):
        log.exception("packs of mailbox %s cannot be merged", small[0].mailbox_id)
        return 0
    new = packs.write(small[0].mailbox, contents)
    with transaction.atomic():
        packs.make_live(new)
        offset = 0
        for pack, content in zip(small, contents, strict=True):
            Body.objects.filter(pack=pack).update(pack=new, offset=F("offset") + offset)
            offset += len(content)
        left = Pack.objects.filter(pk__in=[pack.pk for pack in small], state=Pack.State.LIVE)
        if left.update(state=Pack.State.MERGED, changed_at=now) != len(small):
            transaction.set_rollback(True)  # another sweep was faster; our file is given up in a day
            return 0
    return len(small)


def _whole(pack: Pack) -> bytes:
    content = packs.read(pack, 0, pack.size)
    if len(content) != pack.size:
        raise OSError(f"pack {pack.name} is shorter than it was")
    return content
