"""Logs that are kept for a time only."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count
from django.utils import timezone

from mailboxes.models import SignIn, SyncRun

SIGN_IN_DAYS = 30
RUNS_KEPT = 200  # of each mailbox
AT_ONCE = 5000  # rows in one transaction, so that others can write in between


def sign_ins(before: datetime) -> int:
    """Removes the sign-ins before this time; answers how many."""
    removed = 0
    old = SignIn.objects.filter(at__lt=before).order_by("at")
    while ids := list(old.values_list("pk", flat=True)[:AT_ONCE]):
        removed += SignIn.objects.filter(pk__in=ids).delete()[0]
    return removed


def runs() -> int:
    """Keeps the newest runs of each mailbox; answers how many went."""
    removed = 0
    many = SyncRun.objects.values("mailbox").annotate(count=Count("pk")).filter(count__gt=RUNS_KEPT).order_by()
    for mailbox in list(many.values_list("mailbox", flat=True)):
        of_mailbox = SyncRun.objects.filter(mailbox=mailbox, ended_at__lt=timezone.now())
        newest = of_mailbox.order_by("-created_at").values_list("pk", flat=True)[:RUNS_KEPT]
        keep = set(newest)
        old = [pk for pk in of_mailbox.values_list("pk", flat=True) if pk not in keep]
        for start in range(0, len(old), AT_ONCE):
            removed += SyncRun.objects.filter(pk__in=old[start : start + AT_ONCE]).delete()[0]
    return removed
