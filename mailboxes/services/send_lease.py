"""Who sends for a mailbox now. A claim leases due messages of one mailbox; as long as it lasts nobody else sends for it.

The claim's id is a ticket, as in services/leases.py: the job takes it and gets a lease of its own, so that a job that
was delivered twice finds it void.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from accounts.visibility import TenantQuerySet
from mailboxes import errors
from mailboxes.models import Mailbox, OutboxMessage

BATCH = 20  # messages of one mailbox a claim
WAITING = (OutboxMessage.State.QUEUED, OutboxMessage.State.DEFERRED)
# The others wait for a person: their messages keep their turn. A due message of these is a try by itself.
SENDING_STATES = (
    Mailbox.State.ACTIVE,
    Mailbox.State.DELAYED,
    Mailbox.State.THROTTLED,
    Mailbox.State.MISCONFIGURED,
    Mailbox.State.AWAITING_ADMIN,
)


@dataclass(frozen=True, slots=True)
class SendClaim:
    """The right to send what it leases for a mailbox, until `until`."""

    mailbox_id: UUID
    lease_id: UUID
    until: datetime


def waiting(now: datetime) -> TenantQuerySet[OutboxMessage]:
    """Not sent, not leased; due or not."""
    return OutboxMessage.objects.filter(Q(lease_until=None) | Q(lease_until__lte=now), state__in=WAITING)


def claim_due(now: datetime, limit: int) -> list[SendClaim]:
    """Up to `limit` mailboxes with due messages, round robin among tenants, the longest waiting of each first."""
    due = waiting(now).filter(due_at__lte=now, mailbox=OuterRef("pk")).order_by("due_at")
    ready = Mailbox.objects.filter(
        Exists(due), Q(send_paused_until=None) | Q(send_paused_until__lte=now), state__in=SENDING_STATES, send=True
    ).annotate(since=Subquery(due.values("due_at")[:1]))
    turn = Window(RowNumber(), partition_by=F("tenant_id"), order_by=(F("since"), F("id")))
    ordered = ready.annotate(turn=turn).order_by("turn", "since", "id").values_list("pk", flat=True)[:limit]
    claims = (_claim(mailbox_id, now, {"due_at__lte": now}) for mailbox_id in ordered)
    return [claim for claim in claims if claim]


def claim_one(outbox: OutboxMessage, now: datetime) -> SendClaim | None:
    """Just this message, due or not; None when somebody sends for its mailbox at this moment."""
    return _claim(outbox.mailbox_id, now, {"pk": outbox.pk})


def _claim(mailbox_id: UUID, now: datetime, which: dict[str, Any]) -> SendClaim | None:
    claim = SendClaim(mailbox_id, uuid4(), now + settings.MAILHUB_SEND_LEASE)
    with transaction.atomic():
        # The mailbox's row is the lock that keeps two claims of one mailbox apart (SQLite lets only one write anyway).
        locked = Mailbox.objects.select_for_update(skip_locked=True, of=("self",)).only("pk").filter(pk=mailbox_id)
        theirs = OutboxMessage.objects.filter(mailbox=mailbox_id, lease_until__gt=now)
        if not locked or theirs.exists():
            return None
        chosen = waiting(now).filter(mailbox=mailbox_id, **which).order_by("due_at", "id").values_list("pk", flat=True)
        rows = OutboxMessage.objects.filter(pk__in=list(chosen[:BATCH]), state__in=WAITING)
        won = rows.update(lease_id=claim.lease_id, lease_until=claim.until)
    return claim if won else None


def take(mailbox_id: UUID, ticket: UUID) -> SendClaim | None:
    """Exchanges the dispatcher's ticket for a lease of one's own; None when it is void (late, or used before)."""
    now = timezone.now()
    claim = SendClaim(mailbox_id, uuid4(), now + settings.MAILHUB_SEND_LEASE)
    rows = OutboxMessage.objects.filter(mailbox=mailbox_id, lease_id=ticket, lease_until__gt=now, state__in=WAITING)
    return claim if rows.update(lease_id=claim.lease_id, lease_until=claim.until) else None


def leased(claim: SendClaim) -> list[OutboxMessage]:
    """What the claim may still send, in the order of its turn."""
    rows = OutboxMessage.objects.filter(mailbox=claim.mailbox_id, lease_id=claim.lease_id, state__in=WAITING)
    return list(rows.order_by("due_at", "id"))


def start(outbox: OutboxMessage) -> bool:
    """From waiting to `sending`; False when it was cancelled, or the lease is gone. Inside a transaction."""
    return _update(outbox, WAITING, state=OutboxMessage.State.SENDING, tries=outbox.tries + 1, dot_at=None, reason="")


def fence(outbox: OutboxMessage, **columns: Any) -> None:
    """First statement of every transaction that moves a message on: renews the lease, of the rest of the claim too.

    Raises LeaseLost when the lease ended or is another's: the caller rolls back and stops.
    """
    if not _update(outbox, (OutboxMessage.State.SENDING,), **columns):
        raise errors.LeaseLost


def _update(outbox: OutboxMessage, states: tuple[str, ...], **columns: Any) -> bool:
    now = timezone.now()
    until = now + settings.MAILHUB_SEND_LEASE
    claim = OutboxMessage.objects.filter(mailbox=outbox.mailbox_id, lease_id=outbox.lease_id, lease_until__gt=now)
    values: dict[str, Any] = {"lease_until": until, **columns}
    if not claim.filter(pk=outbox.pk, state__in=states, tries=outbox.tries).update(**values):
        return False
    claim.exclude(pk=outbox.pk).update(lease_until=until)
    for name, value in values.items():
        setattr(outbox, name, value)
    return True


def release(claim: SendClaim, **columns: Any) -> None:
    """Gives back what was not begun: it is as due as before (or as `columns` say)."""
    rows = OutboxMessage.objects.filter(mailbox=claim.mailbox_id, lease_id=claim.lease_id, state__in=WAITING)
    rows.update(lease_id=None, lease_until=None, **columns)


def abandon(claim: SendClaim) -> None:
    """Gives back everything at once: what was begun comes to a true state when it is recovered, not when a lease ends.

    Whoever still works under this claim finds the fence closed.
    """
    release(claim)
    begun = OutboxMessage.objects.filter(
        mailbox=claim.mailbox_id, lease_id=claim.lease_id, state=OutboxMessage.State.SENDING
    )
    begun.update(lease_until=timezone.now())
