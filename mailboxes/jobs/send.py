"""The job of queue "send": some mailboxes, each in a thread of its own."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import connections
from django.utils import timezone

from mailboxes.services import send_lease, stop
from mailboxes.services.deliver import deliver

THREADS = 8

logger = logging.getLogger(__name__)


def send_batch(batch: list[tuple[str, str]]) -> None:
    """`batch`: mailbox and ticket of each claim. The threads begin here, after the fork, and end before it returns."""
    with ThreadPoolExecutor(max_workers=min(THREADS, len(batch)) or 1, thread_name_prefix="send") as pool:
        list(pool.map(_send, batch))


def _send(pair: tuple[str, str]) -> None:
    mailbox_id, ticket = UUID(pair[0]), UUID(pair[1])
    try:
        if stop.requested():
            send_lease.release(send_lease.SendClaim(mailbox_id, ticket, timezone.now()))
        elif claim := send_lease.take(mailbox_id, ticket):
            deliver(claim)
    except Exception:
        # One mailbox must not take the others down. What was begun is recovered when its lease ends.
        logger.exception("sending for mailbox %s failed", mailbox_id)
    finally:
        connections.close_all()
