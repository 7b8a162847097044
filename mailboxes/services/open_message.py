"""Somebody reads a stored message: its bytes, and the line in the audit log that says who opened it."""

from __future__ import annotations

from django.db import transaction

import audit
from audit.models import AuditEvent
from mailboxes.models import Message
from mailboxes.services import bodies


def stored(message: Message) -> bytes | None:
    """The very bytes; None where only headers are kept. Raises BodyUnreadable, KeyWrong."""
    return bodies.read(message.body) if message.body is not None else None


def note(message: Message, action: str, *, actor: audit.Actor, **detail: int) -> AuditEvent:
    """`action`: message.opened or message.exported.

    Subject and file names are mail, so the log names both by id and number alone.
    """
    with transaction.atomic():
        return audit.record(
            action,
            actor=actor,
            tenant_id=message.tenant_id,
            target=message.mailbox,
            detail={"message": str(message.pk), **detail},
        )
