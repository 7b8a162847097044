"""Somebody reads a stored message: its bytes, and the line in the audit log that says who opened it."""

from __future__ import annotations

from django.db import transaction

import audit
from mailboxes.models import Message
from mailboxes.services import bodies


def stored(message: Message) -> bytes | None:
    """The very bytes; None where only headers are kept. Raises BodyUnreadable, KeyWrong."""
    return bodies.read(message.body) if message.body is not None else None


def note(message: Message, action: str, *, actor: audit.Actor, **detail: str) -> None:
    """`action`: message.opened or message.exported. The subject is mail, so the log names the message by its id alone."""
    with transaction.atomic():
        audit.record(
            action,
            actor=actor,
            tenant_id=message.tenant_id,
            target=message.mailbox,
            detail={"message": str(message.pk), **detail},
        )
