"""Somebody asks for a sync now, in whatever state the mailbox is."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

import audit
from mailboxes.models import Mailbox, SyncRun
from mailboxes.services import leases

State = Mailbox.State


def request_sync(mailbox: Mailbox, *, actor: audit.Actor) -> SyncRun:
    """A queued run (the same one when it is asked for again), or a skipped one that says why it cannot run.

    Makes the mailbox due and nothing else: the dispatcher finds it within a second.
    """
    now = timezone.now()
    with transaction.atomic():
        row = Mailbox.objects.select_for_update().get(pk=mailbox.pk)
        why = why_not(row, now)
        run = None if why else row.runs.filter(state=SyncRun.State.QUEUED).order_by("created_at").first()
        if run is None:
            run = SyncRun(
                tenant_id=row.tenant_id,
                mailbox=row,
                requested_by=actor.actor_label[:254],
                state=SyncRun.State.SKIPPED if why else SyncRun.State.QUEUED,
                reason=why,
                ended_at=now if why else None,
            )
            run.save(force_insert=True)
        if not why:
            Mailbox.objects.filter(pk=row.pk).update(next_poll_at=now, poll_requested_at=now)
        audit.record(
            "sync.requested",
            actor=actor,
            tenant_id=row.tenant_id,
            target=row,
            outcome="refused" if why else "ok",
            detail={"reason": why} if why else {},
        )
    return run


def why_not(mailbox: Mailbox, now: datetime) -> str:
    """A code of words.REASONS; '' when a sync can run."""
    if mailbox.state in (State.SUSPENDED, State.DISCONNECTED):
        return str(mailbox.state)
    if mailbox.receive == Mailbox.Receive.NONE:
        return "receives_nothing"
    if mailbox.receive not in leases.RECEIVES:
        return "pop3_unread"
    if mailbox.state == State.RECONNECT:
        return mailbox.reason or "consent_revoked"
    if mailbox.token_id is None:
        return "admin_approval" if mailbox.state == State.AWAITING_ADMIN else "not_connected"
    if mailbox.state == State.THROTTLED and mailbox.next_poll_at and mailbox.next_poll_at > now:
        return "throttled"  # the provider named a time: asking sooner makes it longer
    return ""
