"""What the queue `upkeep` does: small regular chores, each harmless when done twice."""

from __future__ import annotations

import logging
import threading
from collections import deque
from datetime import timedelta

from django.db import connections
from django.utils import timezone

import audit
from audit.heads import write_heads
from audit.rows import chains
from audit.tenants import name_of
from mailboxes import faults
from mailboxes.services import grants, health, look_in_sent, prove_again, prune, stop, sweep, tokens

log = logging.getLogger(__name__)

THREADS = 8
AT_ONCE = 400  # tokens, or messages to be looked for, in one job


def renew_tokens() -> None:
    """Tokens whose time has come, several at once: most of it is waiting for providers."""
    waiting = deque(tokens.due_for_refresh(timezone.now(), AT_ONCE))

    def run() -> None:
        try:
            while waiting and not stop.requested():
                try:
                    token_id = waiting.popleft()
                except IndexError:  # another thread was faster
                    return
                tokens.renew(token_id)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(min(THREADS, len(waiting)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def prove_send_only() -> None:
    """Mailboxes that only send, after a passing fault: does the mail server take their token now?"""
    for mailbox_id in prove_again.due(timezone.now(), AT_ONCE):
        if stop.requested():
            return
        prove_again.prove_again(mailbox_id)


def end_unused_tokens() -> None:
    """Permissions that no mailbox uses, left by a process that died between two steps."""
    grants.sweep(timezone.now())


def write_audit_heads() -> None:
    write_heads()


def check_chains() -> None:
    """The whole of every chain, for the status page."""
    results = {name_of(chain): audit.verify(chain) for chain in chains()}
    health.note_chains([name for name, result in results.items() if not result.ok], len(results))


def sweep_packs() -> None:
    sweep.sweep()


def prune_logs() -> None:
    now = timezone.now()
    prune.sign_ins(now - timedelta(days=prune.SIGN_IN_DAYS))
    prune.runs()


def look_for_uncertain() -> None:
    """Messages that may have gone out: is there a copy in Sent?"""
    for outbox_id in look_in_sent.due(timezone.now(), AT_ONCE):
        if stop.requested():
            return
        try:
            look_in_sent.look(outbox_id)
        except Exception as fault:  # one that cannot be looked for does not keep the others waiting
            log.error("outbox message %s: %s", outbox_id, faults.told(fault))  # noqa: TRY400
