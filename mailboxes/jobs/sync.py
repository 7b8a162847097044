"""What the queue `sync` does: a batch of mailboxes, each with the ticket that the dispatcher claimed for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from django.utils import timezone

from mailboxes.jobs.horse import holding, work_off
from mailboxes.services import leases
from mailboxes.services.poll import poll


def poll_batch(pairs: Sequence[tuple[str, str]]) -> None:
    """`pairs`: (mailbox id, lease id) as text."""
    work_off(pairs, _poll, _put_back)


def _poll(mailbox_id: UUID, ticket: UUID) -> None:
    if claim := leases.take(mailbox_id, ticket):
        with holding(partial(leases.put_back, [claim])):
            poll(claim)


def _put_back(mailbox_id: UUID, ticket: UUID) -> None:
    leases.put_back([leases.Claim(mailbox_id, ticket, timezone.now())])
