"""The scheduler: finds in the database what is due, leases it, and rings the bell. Any number may run beside each other."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import redis
from django.core.cache import cache
from django.utils import timezone

from mailboxes.jobs.horse import THREADS
from mailboxes.services import bell, deliver, health, leases, look_in_sent, prove_again, send_lease, tokens

BATCH = 50  # mailboxes in a job: forking a horse costs as much as some polls
AT_ONCE = 1000  # mailboxes claimed in one go
MOST_WAITING = 20  # jobs in a queue; more are not claimed for, so that what waits, waits where turns are fair
COMPLAIN_EVERY = timedelta(minutes=1)

log = logging.getLogger(__name__)


class Claim(Protocol):
    @property
    def mailbox_id(self) -> UUID: ...

    @property
    def lease_id(self) -> UUID: ...


def _always(now: datetime) -> bool:
    return True


@dataclass(frozen=True)
class Chore:
    """A function of jobs/upkeep.py; `wanted` spares the job when there is nothing to do."""

    name: str
    every: timedelta
    wanted: Callable[[datetime], bool] = _always


CHORES = (
    Chore("renew_tokens", timedelta(seconds=10), lambda now: bool(tokens.due_for_refresh(now, 1))),
    Chore("prove_send_only", timedelta(minutes=1), lambda now: bool(prove_again.due(now, 1))),
    Chore("end_unused_tokens", timedelta(minutes=10)),
    Chore("look_for_uncertain", timedelta(seconds=30), lambda now: bool(look_in_sent.due(now, 1))),
    Chore("write_audit_heads", timedelta(minutes=1)),
    Chore("check_chains", timedelta(hours=1)),
    Chore("sweep_packs", timedelta(hours=1)),
    Chore("prune_logs", timedelta(hours=1)),
)


class Dispatcher:
    def __init__(self) -> None:
        self._next_beat = datetime.min.replace(tzinfo=timezone.now().tzinfo)
        self._next_chore = {chore.name: self._next_beat for chore in CHORES}
        self._complained_at: datetime | None = None

    def go_round(self) -> bool:
        """One round; True when there may be more to do at once. Without Redis nothing is claimed, so nothing is held."""
        now = timezone.now()
        if now >= self._next_beat:
            health.beat()
            self._next_beat = now + health.HEARTBEAT_EVERY
        try:
            more = self._polls(now)
            more = self._sends(now) or more
            self._chores(now)
        except redis.RedisError as error:
            self._complain(now, error)
            return False
        if self._complained_at:
            log.warning("Redis answers again")
            self._complained_at = None
        return more

    def _complain(self, now: datetime, error: redis.RedisError) -> None:
        if self._complained_at is None or now - self._complained_at >= COMPLAIN_EVERY:
            log.error("Redis does not answer (%s): work waits in the database, nothing is lost", type(error).__name__)
            self._complained_at = now

    def _polls(self, now: datetime) -> bool:
        workers, waiting = bell.state("sync")
        if waiting >= MOST_WAITING:
            return False
        claims = leases.claim_due(now, AT_ONCE)
        _enqueue("sync", "mailboxes.jobs.sync.poll_batch", claims, workers, leases.put_back)
        return len(claims) == AT_ONCE

    def _sends(self, now: datetime) -> bool:
        workers, waiting = bell.state("send")
        if waiting >= MOST_WAITING:
            return False
        claims = deliver.claim_due(now, AT_ONCE)

        def put_back(left: Sequence[send_lease.SendClaim]) -> None:
            for claim in left:
                send_lease.release(claim)

        _enqueue("send", "mailboxes.jobs.send.send_batch", claims, workers, put_back)
        return len(claims) == AT_ONCE

    def _chores(self, now: datetime) -> None:
        """The cache's row is the turn: the dispatcher that puts it there rings, the others wait for it to end."""
        for chore in CHORES:
            if now < self._next_chore[chore.name]:
                continue
            self._next_chore[chore.name] = now + chore.every
            key = f"mailhub.upkeep.{chore.name}"
            if not chore.wanted(now) or not cache.add(key, now.isoformat(), timeout=chore.every.total_seconds() * 0.9):
                continue
            try:
                bell.ring("upkeep", f"mailboxes.jobs.upkeep.{chore.name}")
            except redis.RedisError:
                cache.delete(key)
                self._next_chore[chore.name] = now
                raise


def _enqueue(queue: str, function: str, claims: Sequence[Any], workers: int, put_back: Callable[[Any], None]) -> None:
    """In jobs of equal size, so that every worker gets some. What could not be enqueued is given back at once."""
    size = min(BATCH, max(THREADS, math.ceil(len(claims) / max(1, workers))))
    for start in range(0, len(claims), size):
        some: Sequence[Claim] = claims[start : start + size]
        try:
            bell.ring(queue, function, [(str(claim.mailbox_id), str(claim.lease_id)) for claim in some])
        except BaseException:
            put_back(claims[start:])
            raise
