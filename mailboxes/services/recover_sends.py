"""Messages whose worker ended, and those that no longer have a mailbox to go out from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from accounts.visibility import TenantQuerySet
from mailboxes.models import Mailbox, OutboxMessage, SendAttempt
from mailboxes.services import recipients, retry_send, send_lease, send_ledger

MOST = 500  # at once; the next call takes the others

State = OutboxMessage.State


def recover(now: datetime) -> int:
    """Brings every message of an ended lease to a state that is true; answers how many it moved."""
    ended = OutboxMessage.objects.filter(state=State.SENDING, lease_until__lte=now).order_by("lease_until")
    moved = sum(_abandon(outbox, now) for outbox in ended[:MOST])
    due = send_lease.waiting(now).filter(due_at__lte=now)
    disconnected = due.filter(mailbox__state=Mailbox.State.DISCONNECTED)
    moved += sum(_refuse(outbox, "disconnected") for outbox in disconnected[:MOST])
    return moved + sum(_refuse(outbox, "sends_nothing") for outbox in due.filter(mailbox__send=False)[:MOST])


def _abandon(outbox: OutboxMessage, now: datetime) -> bool:
    """With the marker of this try the server may have it: uncertain. Without, it certainly does not: its turn again."""
    values: dict[str, object] = {"lease_id": None, "lease_until": None}
    if outbox.dot_at:
        values |= {"state": State.UNCERTAIN, "reason": "worker_lost"}
    else:
        # The first time at once; a message that ends its worker each time must not do so in a circle.
        due_at = now if outbox.tries < 2 else now + retry_send.pause_after(outbox.tries - 1)
        if outbox.recipients_left:
            values |= {"state": State.DEFERRED, "reason": "recipients_later", "due_at": due_at}
        else:
            values |= {"state": State.QUEUED, "reason": "", "due_at": due_at}
    with transaction.atomic():
        same = OutboxMessage.objects.filter(
            pk=outbox.pk, state=State.SENDING, lease_id=outbox.lease_id, lease_until__lte=now, tries=outbox.tries
        )
        return _move(outbox, same, values, SendAttempt.Stage.ABANDONED)


def _refuse(outbox: OutboxMessage, reason: str) -> bool:
    with transaction.atomic():
        same = OutboxMessage.objects.filter(pk=outbox.pk, state=outbox.state, lease_id=outbox.lease_id)
        values: dict[str, object] = {"lease_id": None, "lease_until": None}
        if outbox.recipients_left:
            values |= recipients.given_up(outbox, outbox.reply)
        else:
            values |= {"state": State.REJECTED, "reason": reason}
        return _move(outbox, same, values, SendAttempt.Stage.REFUSED)


def _move(outbox: OutboxMessage, same: TenantQuerySet[OutboxMessage], values: Mapping[str, object], stage: str) -> bool:
    if not same.update(**values):
        return False
    for name, value in values.items():
        setattr(outbox, name, value)
    send_ledger.note(outbox, stage)
    send_ledger.tell(outbox)
    return True
