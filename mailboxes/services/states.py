"""The state of a mailbox: who changes it, what follows from an error, and the line in the audit log."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

import audit
from mailboxes import errors
from mailboxes.models import Mailbox, SyncRun

State = Mailbox.State
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
STOPPED = (State.SUSPENDED, State.DISCONNECTED)
WITHOUT_POLLS = (*STOPPED, State.RECONNECT)


def change(
    mailbox: Mailbox,
    state: str,
    *,
    actor: audit.Actor,
    reason: str = "",
    detail: str = "",
    lease_id: UUID | None = None,
    **columns: Any,
) -> bool:
    """Moves the mailbox on; False when somebody else changed its state (or took its lease) in the meantime.

    `columns` are written in the same UPDATE. The audit line is written only when state or reason really changed.
    The instance is brought up to date.
    """
    moved = (mailbox.state, mailbox.reason) != (state, reason)
    values: dict[str, Any] = {"state": state, "reason": reason, "reason_detail": detail[:500], **columns}
    if moved:
        values["state_since"] = timezone.now()
    with transaction.atomic():
        rows = Mailbox.objects.filter(pk=mailbox.pk, state=mailbox.state)
        if lease_id is not None:
            rows = rows.filter(lease_id=lease_id)
        if not rows.update(**values):
            return False
        if moved and state in WITHOUT_POLLS:
            _end_runs(mailbox, reason or str(state))
        if moved:
            audit.record(
                "mailbox.state_changed",
                actor=actor,
                tenant_id=mailbox.tenant_id,
                target=mailbox,
                detail={"from": mailbox.state, "to": state, "reason": reason, "reply": detail[:500]},
            )
    for name, value in values.items():
        setattr(mailbox, name, value)
    return True


def _end_runs(mailbox: Mailbox, reason: str) -> None:
    """Runs that nobody will go on with: who asked for them shall not wait for ever."""
    runs, now = SyncRun.objects.filter(mailbox=mailbox.pk), timezone.now()
    runs.filter(state=SyncRun.State.QUEUED).update(state=SyncRun.State.SKIPPED, reason=reason, ended_at=now)
    runs.filter(state=SyncRun.State.RUNNING).update(state=SyncRun.State.FAILED, reason=reason, ended_at=now)


def drop_lease(mailbox: Mailbox) -> None:
    """Inside the caller's transaction: a worker that holds the mailbox finds every later write refused, and stops."""
    Mailbox.objects.filter(pk=mailbox.pk).update(lease_id=None, lease_until=None)
    mailbox.lease_id = mailbox.lease_until = None


def state_after(error: errors.MailError) -> str:
    """Which state an error leads to (CONTRACT, `state` of a mailbox)."""
    if isinstance(error, errors.ConsentNeeded):
        return State.RECONNECT
    if isinstance(error, errors.AdminApprovalNeeded):
        return State.AWAITING_ADMIN
    if isinstance(error, (errors.AppMisconfigured, errors.TlsRefused, errors.KeyWrong)):
        return State.MISCONFIGURED
    if isinstance(error, errors.Throttled):
        return State.THROTTLED
    return State.DELAYED


def pause_after(failures: int) -> timedelta:
    """How long to wait after so many failures in a row: doubling, with jitter, an hour at most."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(failures, 10)))
    return longest * random.uniform(0.75, 1.0)  # noqa: S311 - jitter, not a secret


def from_error(
    mailbox: Mailbox, error: errors.MailError, *, actor: audit.Actor = audit.SYSTEM, lease_id: UUID | None = None
) -> None:
    """Puts the mailbox in the state that the error means and plans the next try.

    A state that waits for a person is still looked at once an hour for `misconfigured` and `awaiting_admin` (a setting
    may have been mended at the provider), never for `reconnect`: there only a new consent helps.
    """
    if isinstance(error, errors.LeaseLost) or mailbox.state in STOPPED:
        return
    state = state_after(error)
    now = timezone.now()
    next_poll_at: datetime | None = now + (error.retry_after or pause_after(mailbox.failures))
    if isinstance(error, errors.TokenBusy):  # no fault of the mailbox: it only comes again in a moment
        Mailbox.objects.filter(pk=mailbox.pk, lease_id=lease_id).update(next_poll_at=next_poll_at)
        return
    if state == State.RECONNECT:
        next_poll_at = None
    elif state in (State.MISCONFIGURED, State.AWAITING_ADMIN):
        next_poll_at = now + LONGEST_PAUSE * random.uniform(0.9, 1.1)  # noqa: S311
    if mailbox.receive == Mailbox.Receive.NONE:
        next_poll_at = None
    change(
        mailbox,
        state,
        actor=actor,
        reason=error.reason,
        detail=error.detail if error.detail != error.reason else "",
        lease_id=lease_id,
        failures=mailbox.failures + 1,
        next_poll_at=next_poll_at,
    )


def healthy(
    mailbox: Mailbox, *, lease_id: UUID | None = None, next_poll_at: datetime | None, actor: audit.Actor = audit.SYSTEM
) -> None:
    """After a success: whatever passed by itself is over."""
    if mailbox.state in STOPPED:
        return
    change(mailbox, State.ACTIVE, actor=actor, lease_id=lease_id, failures=0, next_poll_at=next_poll_at)


def next_regular_poll(now: datetime) -> datetime:
    """The schedule's next turn, spread by a tenth so that mailboxes don't march in step."""
    return now + settings.MAILHUB_POLL_INTERVAL * random.uniform(0.9, 1.1)  # noqa: S311
