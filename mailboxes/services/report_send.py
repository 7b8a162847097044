"""A message of the outbox as programs read it (CONTRACT, `GET /outbox/{id}`)."""

from __future__ import annotations

from typing import Any

from mailboxes.models import OutboxMessage


def report(outbox: OutboxMessage) -> dict[str, Any]:
    """JSON-ready: id, state, attempts, message_id, sent_at, and why it is in that state."""
    return {
        "id": str(outbox.pk),
        "state": outbox.state,
        "reason": outbox.reason or None,
        "reply": outbox.reply,
        "attempts": [
            {"at": attempt.at.isoformat(), "stage": attempt.stage, "reply": attempt.reply}
            for attempt in outbox.attempts.all()
        ],
        "refused_recipients": outbox.refused_recipients,
        "message_id": outbox.message_id,
        "due_at": outbox.due_at.isoformat(),
        "sent_at": outbox.sent_at.isoformat() if outbox.sent_at else None,
    }
