"""Stop a mailbox here, and let it go on: the permission stays, nothing uses it meanwhile."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

import audit
from mailboxes.models import Mailbox
from mailboxes.services import states

State = Mailbox.State


def suspend(mailbox: Mailbox, *, actor: audit.Actor) -> bool:
    """False when it was stopped before. A worker that holds the mailbox finds its lease gone and stops."""
    with transaction.atomic():
        mailbox.refresh_from_db(from_queryset=Mailbox.objects.select_for_update())  # no poll moves it meanwhile
        if mailbox.state in states.STOPPED:
            return False
        states.change(
            mailbox,
            State.SUSPENDED,
            reason="suspended",
            actor=actor,
            next_poll_at=None,
            poll_requested_at=None,
        )
        states.drop_lease(mailbox)
        audit.record("mailbox.suspended", actor=actor, tenant_id=mailbox.tenant_id, target=mailbox)
    return True


def resume(mailbox: Mailbox, *, actor: audit.Actor) -> bool:
    """False when it was not suspended. It goes on where its permission lets it: to work, or to wait for its owner."""
    with transaction.atomic():
        mailbox.refresh_from_db(from_queryset=Mailbox.objects.select_for_update())  # no poll moves it meanwhile
        if mailbox.state != State.SUSPENDED:
            return False
        state, reason = _standing(mailbox)
        polls = state == State.ACTIVE and mailbox.receive != Mailbox.Receive.NONE
        due: datetime | None = timezone.now() if polls else None
        states.change(mailbox, state, reason=reason, actor=actor, next_poll_at=due, failures=0)
        audit.record("mailbox.resumed", actor=actor, tenant_id=mailbox.tenant_id, target=mailbox)
    return True


def _standing(mailbox: Mailbox) -> tuple[str, str]:
    if mailbox.token is None:
        return State.PENDING, "not_connected"
    if mailbox.token.dead_reason:
        return State.RECONNECT, mailbox.token.dead_reason
    return State.ACTIVE, ""
