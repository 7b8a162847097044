"""What a person or a program does with the outbox: queue, cancel, send again, say that it was sent."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

import audit
from accounts.ids import new_id
from mailboxes.models import Body, Mailbox, OutboxMessage, SendAttempt
from mailboxes.services import bodies, recipients, send_ledger
from mailboxes.services.addresses import NamedAddress
from mailboxes.services.compose import Composed, compose
from mailboxes.services.draft import Attachment, Draft, DraftRefused

__all__ = [
    "Attachment",
    "Draft",
    "DraftRefused",
    "IdempotencyConflict",
    "cancel",
    "confirm_sent",
    "queue",
    "send_again",
]

State = OutboxMessage.State
CANCELLABLE = (State.QUEUED, State.DEFERRED)
SENDABLE_AGAIN = (State.UNCERTAIN, State.REJECTED, State.CANCELLED)
LONGEST_KEY = 255  # characters


class IdempotencyConflict(Exception):
    """The key was used for another request."""


def queue(mailbox: Mailbox, draft: Draft, *, actor: audit.Actor, idempotency_key: str | None = None) -> OutboxMessage:
    """Stores what shall go out; a dispatcher does the rest.

    The same key and the same draft again answer the message that was queued first. Raises DraftRefused, and
    IdempotencyConflict for another draft under a known key; then nothing is stored.
    """
    if idempotency_key is not None and not 0 < len(idempotency_key) <= LONGEST_KEY:
        raise DraftRefused({"idempotency_key": [f"The key has 1 to {LONGEST_KEY} characters."]})
    request_hash = draft.fingerprint() if idempotency_key else ""
    if earlier := _earlier(mailbox, idempotency_key, request_hash):
        return earlier
    _require_able(mailbox)
    outbox = OutboxMessage(id=new_id(), tenant_id=mailbox.tenant_id, mailbox=mailbox)
    made = compose(draft, mailbox, outbox.pk)
    outbox.body = bodies.store_one(mailbox, made.raw)
    outbox.idempotency_key, outbox.request_hash = idempotency_key, request_hash
    _fill(outbox, draft, made, actor)
    try:
        with transaction.atomic():
            outbox.save(force_insert=True)
            audit.record(
                "outbox.queued",
                actor=actor,
                tenant_id=mailbox.tenant_id,
                target=outbox,
                detail={
                    "mailbox": mailbox.address,
                    "recipients": len(made.checked.envelope),
                    "message_id": made.message_id,
                    "due_at": outbox.due_at.isoformat(),
                },
            )
    except IntegrityError:
        # Two requests with one key at once: the other was first, and our bytes are nobody's.
        Body.objects.filter(pk=outbox.body_id).delete()
        if earlier := _earlier(mailbox, idempotency_key, request_hash):
            return earlier
        raise
    return outbox


def cancel(outbox: OutboxMessage, *, actor: audit.Actor) -> bool:
    """False when it is too late: it is being sent, or has come to an end."""
    whole = Q(recipients_left=[])
    if _deed(outbox, CANCELLABLE, "outbox.cancelled", actor, which=whole, state=State.CANCELLED):
        return True
    outbox.refresh_from_db()
    if not outbox.recipients_left:
        return False
    rest = recipients.given_up(outbox, outbox.reply)  # some have it: it was sent, though not to all
    return _deed(outbox, CANCELLABLE, "outbox.cancelled", actor, which=Q(tries=outbox.tries), **rest)


def send_again(outbox: OutboxMessage, *, actor: audit.Actor) -> bool:
    """A person's deed, who looked and takes the risk: the same bytes, the same Message-ID. False when it is not at an end.

    Raises DraftRefused when its mailbox can no longer send.
    """
    _require_able(outbox.mailbox)
    return _deed(
        outbox,
        SENDABLE_AGAIN,
        "outbox.sent_again",
        actor,
        stage=SendAttempt.Stage.AGAIN,
        state=State.QUEUED,
        due_at=timezone.now(),
        dot_at=None,
        evidence=None,
        looked_at=None,
        refused_recipients=outbox.refused_recipients if outbox.recipients_left else [],
    )


def confirm_sent(outbox: OutboxMessage, *, actor: audit.Actor) -> bool:
    """A person found it at a recipient, or in Sent. False when it is not uncertain (any more).

    Whom the server had put off in that try gets it now.
    """
    outbox.refresh_from_db()
    now = timezone.now()
    return _deed(
        outbox,
        (State.UNCERTAIN,),
        "outbox.confirmed",
        actor,
        stage=SendAttempt.Stage.CONFIRMED,
        which=Q(tries=outbox.tries),
        **recipients.after_taking(outbox),
        sent_at=outbox.dot_at or now,
        due_at=now,
    )


def _deed(
    outbox: OutboxMessage,
    states: tuple[str, ...],
    event: str,
    actor: audit.Actor,
    *,
    which: Q | None = None,
    stage: str = "",
    **columns: Any,
) -> bool:
    """A conditional UPDATE, its row of the ledger, its line in the audit log. The instance is brought up to date."""
    values: dict[str, Any] = {"reason": "", "lease_id": None, "lease_until": None, **columns}
    with transaction.atomic():
        if not OutboxMessage.objects.filter(which or Q(), pk=outbox.pk, state__in=states).update(**values):
            return False
        before = outbox.state
        outbox.refresh_from_db()
        if stage:
            send_ledger.note(outbox, stage, f"by {actor.actor_label}")
        audit.record(event, actor=actor, tenant_id=outbox.tenant_id, target=outbox, detail={"from": before})
    return True


def _earlier(mailbox: Mailbox, key: str | None, request_hash: str) -> OutboxMessage | None:
    if key is None:
        return None
    found = OutboxMessage.objects.filter(mailbox=mailbox, idempotency_key=key).first()
    if found is not None and found.request_hash != request_hash:
        raise IdempotencyConflict("This idempotency key was used for another message.")
    return found


def _require_able(mailbox: Mailbox) -> None:
    """A mailbox that waits for its owner may queue: the message goes out when it can."""
    if not mailbox.send:
        raise DraftRefused({"sender": [f"{mailbox.address} is set to receive only."]})
    if mailbox.state == Mailbox.State.DISCONNECTED:
        raise DraftRefused({"sender": [f"{mailbox.address} is disconnected: connect it again first."]})
    if mailbox.provider_app.server("smtp") is None:
        raise DraftRefused({"sender": [f"{mailbox.provider_app} names no SMTP server."]})


def _fill(outbox: OutboxMessage, draft: Draft, made: Composed, actor: audit.Actor) -> None:
    checked = made.checked
    outbox.sender = checked.sender.address
    outbox.recipients = {
        "to": _plain(checked.to),
        "cc": _plain(checked.cc),
        "bcc": _plain(checked.bcc),
    }
    outbox.subject = draft.subject.strip()
    outbox.message_id, outbox.mailhub_id = made.message_id, made.mailhub_id
    outbox.queued_by = actor.actor_label[:254]
    outbox.due_at = checked.send_at


def _plain(entries: list[NamedAddress]) -> list[str]:
    return [entry.address for entry in entries]
