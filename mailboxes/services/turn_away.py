"""An account that a consent pinned while the mail server was away, and that it refuses now: as if it had been refused then."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q
from django.utils import timezone

import audit
from mailboxes.errors import SignInRefused
from mailboxes.models import ConnectLink, ConsentAttempt, Mailbox, SyncRun
from mailboxes.services import states, switch

REASON = "wrong_account"
State = Mailbox.State


def is_unproven(mailbox: Mailbox) -> bool:
    """Whether no mail server has taken the account that is pinned."""
    return bool(mailbox.token_id and mailbox.pinned_subject and mailbox.proven_at is None)


def turn_away(mailbox: Mailbox, refusal: SignInRefused) -> UUID | None:
    """Inside the caller's transaction, the mailbox's row locked and read anew, and unproven.

    The token that is to be ended once the transaction is over (grants.end_if_unused); None when somebody was faster.
    """
    token = mailbox.token
    if token is None:
        return None
    moved = states.change(
        mailbox,
        State.RECONNECT if mailbox.last_synced_at else State.PENDING,
        reason=REASON,
        detail=refusal.detail if refusal.detail != refusal.reason else "",
        actor=audit.SYSTEM,
        token=None,
        pinned_issuer="",
        pinned_subject="",
        next_poll_at=None,
        poll_requested_at=None,
        failures=0,
    )
    if not moved:
        return None
    SyncRun.objects.filter(mailbox=mailbox, state=SyncRun.State.QUEUED).update(
        state=SyncRun.State.SKIPPED, reason=REASON, ended_at=timezone.now()
    )
    attempt = _attempt(mailbox)
    if attempt is not None:
        ConsentAttempt.objects.filter(pk=attempt.pk).update(outcome=REASON, detail=refusal.detail)
        ConnectLink.objects.filter(attempts=attempt.pk).update(used_at=None)
    audit.record(
        "consent.refused",
        actor=audit.SYSTEM,
        tenant_id=mailbox.tenant_id,
        target=mailbox,
        outcome="refused",
        detail={
            "attempt": str(attempt.pk) if attempt else "",
            "reason": REASON,
            "reply": refusal.detail,
            "account": token.account,
        },
    )
    return token.pk


def _attempt(mailbox: Mailbox) -> ConsentAttempt | None:
    """The consent that brought the account: gone through, or broken off in the middle, but not one under way."""
    overdue = timezone.now() - switch.PROOF_OVERDUE
    rows = ConsentAttempt.objects.filter(
        Q(outcome="connected") | Q(outcome="", consumed_at__lt=overdue), mailbox=mailbox
    )
    return rows.order_by("-consumed_at").first()
