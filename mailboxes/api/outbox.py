"""The outbox: what a program sends, and what became of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Status

from accounts.roles import Right
from mailboxes.api import idempotency, limits
from mailboxes.api.auth import key_of, opens
from mailboxes.api.mailboxes import mailbox_or_404
from mailboxes.api.outbox_schemas import NewMessage, OutboxAnswer, QueuedAnswer
from mailboxes.api.problems import Problem
from mailboxes.models import OutboxMessage
from mailboxes.services import outbox

router = Router(tags=["Outbox"])


def shown(row: OutboxMessage) -> dict[str, Any]:
    return {
        "id": row.pk,
        "state": row.state,
        "attempts": [{"at": step.at, "stage": step.stage, "reply": step.reply} for step in row.attempts.all()],
        "message_id": row.message_id,
        "sent_at": row.sent_at,
    }


def row_or_404(request: HttpRequest, pk: UUID, right: Right) -> OutboxMessage:
    return get_object_or_404(OutboxMessage.objects.visible_to(key_of(request), right), pk=pk)


@router.post(
    "/mailboxes/{mailbox_id}/outbox",
    operation_id="send_message",
    response={202: QueuedAnswer},
    **opens(Right.OUTBOX_SEND, "not_found", "idempotency_conflict", "too_large", greatest_body=limits.GREATEST_DRAFT),
)
def send_message(
    request: HttpRequest, mailbox_id: UUID, body: NewMessage, idempotency_key: idempotency.Key = None
) -> Status[dict[str, Any]]:
    """Queue a message. It goes out within seconds, or at `send_at`.

    With an Idempotency-Key the same request may be repeated without fear: it answers the message that was queued first.
    """
    mailbox = mailbox_or_404(request, mailbox_id, Right.OUTBOX_SEND)
    try:
        row = outbox.queue(mailbox, body.draft(), actor=key_of(request), idempotency_key=idempotency_key)
    except outbox.IdempotencyConflict:
        raise Problem("idempotency_conflict") from None
    return Status(202, {"id": row.pk, "state": row.state})


@router.get(
    "/outbox/{outbox_id}",
    operation_id="get_outbox_message",
    response=OutboxAnswer,
    **opens(Right.OUTBOX_VIEW, "not_found"),
)
def get_outbox_message(request: HttpRequest, outbox_id: UUID) -> dict[str, Any]:
    """What became of it: its state, and every step taken with the server's own reply."""
    return shown(row_or_404(request, outbox_id, Right.OUTBOX_VIEW))


@router.post(
    "/outbox/{outbox_id}/cancel",
    operation_id="cancel_outbox_message",
    response=OutboxAnswer,
    **opens(Right.OUTBOX_SEND, "not_found"),
)
def cancel_outbox_message(request: HttpRequest, outbox_id: UUID) -> dict[str, Any]:
    """Take it back while it waits. Where it is too late, `state` says what it is instead of `cancelled`."""
    row = row_or_404(request, outbox_id, Right.OUTBOX_SEND)
    if not outbox.cancel(row, actor=key_of(request)):
        row.refresh_from_db()
    return shown(row)
