"""What the queue `send` does: a batch of mailboxes, each with the ticket that the dispatcher claimed for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from django.utils import timezone

from mailboxes.jobs.horse import holding, work_off
from mailboxes.services import send_lease
from mailboxes.services.deliver import deliver


def send_batch(pairs: Sequence[tuple[str, str]]) -> None:
    """`pairs`: (mailbox id, ticket) as text."""
    work_off(pairs, _send, _put_back)


def _send(mailbox_id: UUID, ticket: UUID) -> None:
    if claim := send_lease.take(mailbox_id, ticket):
        with holding(partial(send_lease.abandon, claim)):
            deliver(claim)


def _put_back(mailbox_id: UUID, ticket: UUID) -> None:
    send_lease.release(send_lease.SendClaim(mailbox_id, ticket, timezone.now()))
