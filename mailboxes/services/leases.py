"""Who works on a mailbox now: the lease in its row is the claim, and its id is the fence of every write.

A claim made by the dispatcher is a ticket: whoever works with it takes it first and gets an id of its own. A job that
was delivered twice, or came too late, finds its ticket void.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Q, Value, When, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from accounts.visibility import TenantQuerySet
from mailboxes import errors
from mailboxes.models import Mailbox

State = Mailbox.State
CLAIMABLE = (
    State.ACTIVE,
    State.DELAYED,
    State.THROTTLED,
    State.MISCONFIGURED,
    State.AWAITING_ADMIN,
    State.PENDING,  # consent was given, the proof of it was put off
)
STOPPED = (State.SUSPENDED, State.DISCONNECTED)
RECEIVES = (Mailbox.Receive.IMAP,)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a mailbox until `until`."""

    mailbox_id: UUID
    lease_id: UUID
    until: datetime


def claimable(now: datetime) -> TenantQuerySet[Mailbox]:
    """Mailboxes that may be polled and that nobody works on, whether due or not. Without a token there is no way in."""
    return Mailbox.objects.filter(
        Q(lease_until=None) | Q(lease_until__lte=now), state__in=CLAIMABLE, receive__in=RECEIVES, token__isnull=False
    )


def due(now: datetime) -> TenantQuerySet[Mailbox]:
    """Mailboxes whose turn it is."""
    return claimable(now).filter(next_poll_at__lte=now)


def claim_due(now: datetime, limit: int) -> list[Claim]:
    """Leases up to `limit` due mailboxes, round robin among tenants, the longest waiting of each tenant first."""
    return _claim(_fair_turns(now, limit), due(now), now)


def claim_one(mailbox_id: UUID, now: datetime) -> Claim | None:
    """Leases this mailbox, due or not; None when somebody works on it or it cannot be polled."""
    return next(iter(_claim([mailbox_id], claimable(now), now)), None)


def take(mailbox_id: UUID, ticket: UUID) -> Claim | None:
    """Exchanges the dispatcher's ticket for a lease of one's own; None when the ticket is void (late, or used before)."""
    now = timezone.now()
    claim = Claim(mailbox_id, uuid.uuid4(), now + settings.MAILHUB_POLL_LEASE)
    rows = Mailbox.objects.filter(pk=mailbox_id, lease_id=ticket, lease_until__gt=now).exclude(state__in=STOPPED)
    taken = rows.update(lease_id=claim.lease_id, lease_until=claim.until, poll_requested_at=None)
    return claim if taken else None


def fence(mailbox_id: UUID, lease_id: UUID) -> None:
    """First statement of every transaction that writes for a mailbox: locks its row and renews the lease.

    Raises LeaseLost when the lease ended, is another's by now, or the mailbox was stopped here.
    """
    now = timezone.now()
    mine = Mailbox.objects.filter(pk=mailbox_id, lease_id=lease_id, lease_until__gt=now).exclude(state__in=STOPPED)
    if not mine.update(lease_until=now + settings.MAILHUB_POLL_LEASE):
        raise errors.LeaseLost


def renew(claim: Claim) -> Claim:
    """A longer lease. Raises LeaseLost."""
    fence(claim.mailbox_id, claim.lease_id)
    return replace(claim, until=timezone.now() + settings.MAILHUB_POLL_LEASE)


def release(claim: Claim, next_poll_at: datetime | None, **columns: object) -> bool:
    """Ends the lease; False when it was no longer ours. What was asked for in the meantime is due at once."""
    following: object = next_poll_at
    if next_poll_at is not None:
        asked = When(poll_requested_at__isnull=False, then=Value(timezone.now()))
        following = Case(asked, default=Value(next_poll_at))
    return _end([claim], next_poll_at=following, **columns)


def put_back(claims: Iterable[Claim]) -> None:
    """Ends leases that nobody worked under: the mailboxes stay as due as they were."""
    by_lease: dict[UUID, list[Claim]] = {}
    for claim in claims:
        by_lease.setdefault(claim.lease_id, []).append(claim)
    for same in by_lease.values():
        _end(same)


def _end(claims: Sequence[Claim], **columns: object) -> bool:
    rows = Mailbox.objects.filter(pk__in=[claim.mailbox_id for claim in claims], lease_id=claims[0].lease_id)
    return bool(rows.update(lease_id=None, lease_until=None, **columns))


def _fair_turns(now: datetime, limit: int) -> list[UUID]:
    """The first of each tenant, then the second of each …"""
    turn = Window(RowNumber(), partition_by=F("tenant_id"), order_by=(F("next_poll_at"), F("id")))
    ordered = due(now).annotate(turn=turn).order_by("turn", "next_poll_at", "id")
    return list(ordered.values_list("pk", flat=True)[:limit])


def _claim(candidates: list[UUID], free: TenantQuerySet[Mailbox], now: datetime) -> list[Claim]:
    """Two dispatchers never win the same row: PostgreSQL skips what the other holds, SQLite lets only one write."""
    if not candidates:
        return []
    lease_id, until = uuid.uuid4(), now + settings.MAILHUB_POLL_LEASE
    with transaction.atomic():
        locked = free.filter(pk__in=candidates).select_for_update(skip_locked=True, of=("self",)).order_by()
        won = set(locked.values_list("pk", flat=True))
        Mailbox.objects.filter(pk__in=won).update(lease_id=lease_id, lease_until=until)
    return [Claim(pk, lease_id, until) for pk in candidates if pk in won]
