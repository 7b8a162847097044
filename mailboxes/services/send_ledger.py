"""The ledger of sending: each step is a row that commits before the step is taken; states move by fenced updates alone."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

import audit
from mailboxes.models import OutboxMessage, SendAttempt, SignIn
from mailboxes.services import send_lease

State = OutboxMessage.State
Stage = SendAttempt.Stage

_EVENTS = {State.SENT: "outbox.sent", State.REJECTED: "outbox.rejected", State.UNCERTAIN: "outbox.uncertain"}


def begin(outbox: OutboxMessage) -> bool:
    """The next try; False when the message was cancelled or taken over, and then nothing is written."""
    with transaction.atomic():
        if not send_lease.start(outbox):
            return False
        note(outbox, Stage.STARTED)
    return True


def step(
    outbox: OutboxMessage, stage: str, reply: str = "", *, sign_ins: list[SignIn] | None = None, **columns: Any
) -> None:
    """One step further within the try. Raises LeaseLost, and then nothing is written."""
    with transaction.atomic(durable=True):  # inside another transaction nothing would be committed yet
        send_lease.fence(outbox, **columns)
        note(outbox, stage, reply)
        SignIn.objects.bulk_create(sign_ins or [])


def mark_dot(outbox: OutboxMessage) -> None:
    """The marker: from its commit on the server may have the message. Raises LeaseLost: then the dot must not leave.

    The commit is on the disk when this returns (settings: SQLite's synchronous=FULL; PostgreSQL's own default).
    """
    step(outbox, Stage.DOT_FOLLOWS, dot_at=timezone.now())


def finish(
    outbox: OutboxMessage,
    state: str,
    stage: str,
    *,
    reason: str = "",
    reply: str = "",
    sign_ins: list[SignIn] | None = None,
    **columns: Any,
) -> None:
    """Ends the try, and its lease. Raises LeaseLost, and then nothing is written."""
    ended: dict[str, Any] = {"lease_until": None, "lease_id": None, "state": state, "reason": reason}
    with transaction.atomic():
        send_lease.fence(outbox, **ended, reply=reply[:500], **columns)
        note(outbox, stage, reply)
        SignIn.objects.bulk_create(sign_ins or [])
        tell(outbox)


def note(outbox: OutboxMessage, stage: str, reply: str = "") -> SendAttempt:
    """A row of the ledger, in the caller's transaction."""
    return SendAttempt.objects.create(
        tenant_id=outbox.tenant_id, outbox=outbox, number=outbox.tries, stage=stage, reply=reply[:500]
    )


def tell(outbox: OutboxMessage, *, actor: audit.Actor = audit.SYSTEM) -> None:
    """The audit event of the state that the message came to, if that is an end; last in the caller's transaction."""
    if event := _EVENTS.get(State(outbox.state)):
        audit.record(
            event,
            actor=actor,
            tenant_id=outbox.tenant_id,
            target=outbox,
            outcome="ok" if outbox.state == State.SENT else "failed",
            detail={"tries": outbox.tries, "reason": outbox.reason, "reply": outbox.reply},
        )
