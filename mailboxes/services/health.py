"""How the installation itself does: each part with a word of judgement, for the status page and the health command."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from datetime import timedelta

import redis
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from audit.models import ChainHead
from mailboxes.services import bell, leases

HEARTBEAT = "mailhub.dispatcher"  # key in the cache: when a dispatcher last went round
CHAINS = "mailhub.chains"  # key in the cache: what the last full check of the audit chains found
HEARTBEAT_EVERY = timedelta(seconds=5)
SILENT_AFTER = timedelta(seconds=30)
BEHIND_AFTER = timedelta(minutes=2)
LEAST_FREE = 0.05  # of the disk
LONG_QUEUE = 200  # jobs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """`look` is a row of words.HEALTH; `words` say it in a sentence; `value` is the number behind it."""

    name: str
    ok: bool
    look: str
    words: str
    value: float | int | None = None


def parts() -> list[Part]:
    """Every part, the queue's parts together when Redis does not answer."""
    return [dispatcher(), behind(), *queues(), chains(), disk()]


def healthy() -> bool:
    return all(part.ok for part in parts())


def beat() -> None:
    """Called by the dispatcher as it goes round."""
    cache.set(HEARTBEAT, timezone.now().isoformat(), timeout=None)


def dispatcher() -> Part:
    told = cache.get(HEARTBEAT)
    seen = parse_datetime(told) if isinstance(told, str) else None
    if seen is None:
        return Part("Dispatcher", False, "failed", "No dispatcher has run yet.")
    silent = timezone.now() - seen
    seconds = round(silent.total_seconds())
    if silent > SILENT_AFTER:
        return Part("Dispatcher", False, "failed", f"The dispatcher was last seen {_span(seconds)} ago.", seconds)
    return Part("Dispatcher", True, "ok", "The dispatcher goes round.", seconds)


def behind() -> Part:
    """How late the longest waiting mailbox is."""
    now = timezone.now()
    first = leases.due(now).order_by("next_poll_at").values_list("next_poll_at", flat=True).first()
    late = now - first if first else timedelta()
    seconds = max(0, round(late.total_seconds()))
    if late > BEHIND_AFTER:
        return Part("Polling", False, "slow", f"The longest waiting mailbox is {_span(seconds)} late.", seconds)
    return Part("Polling", True, "ok", "Every mailbox is polled in time.", seconds)


def queues() -> list[Part]:
    """For each queue its workers and the jobs that wait."""
    try:
        found = {name: bell.state(name) for name in settings.RQ_QUEUES}
    except redis.RedisError as error:
        log.warning("Redis does not answer: %s", type(error).__name__)
        return [Part("Queue", False, "failed", "Redis does not answer; work waits in the database, nothing is lost.")]
    return [_queue(name, workers, waiting) for name, (workers, waiting) in found.items()]


def _queue(name: str, workers: int, waiting: int) -> Part:
    title = f"Queue {name}"
    if not workers:
        return Part(title, False, "failed", f"No worker; {_jobs(waiting)}.", waiting)
    who = "1 worker" if workers == 1 else f"{workers} workers"
    if waiting > LONG_QUEUE:
        return Part(title, False, "slow", f"{who}; {_jobs(waiting)}.", waiting)
    return Part(title, True, "ok", f"{who}; {_jobs(waiting)}.", waiting)


def _jobs(waiting: int) -> str:
    return {0: "nothing waits", 1: "1 job waits"}.get(waiting, f"{waiting} jobs wait")


def note_chains(broken: list[str], checked: int) -> None:
    """Called by the upkeep after it has gone through the chains."""
    told = {"at": timezone.now().isoformat(), "broken": broken, "checked": checked}
    cache.set(CHAINS, told, timeout=None)


def chains() -> Part:
    told = cache.get(CHAINS)
    if not isinstance(told, dict):
        count = ChainHead.objects.filter(seq__gt=0).count()
        return Part("Audit log", True, "unchecked", "Not checked yet.", count)
    if told["broken"]:
        names = ", ".join(told["broken"][:3])
        return Part("Audit log", False, "failed", f"The chain does not hold: {names}.", len(told["broken"]))
    at = parse_datetime(told["at"])
    when = f" {at:%Y-%m-%d %H:%M} UTC" if at else ""
    return Part("Audit log", True, "ok", f"Every chain holds; checked{when}.", told["checked"])


def disk() -> Part:
    usage = shutil.disk_usage(settings.MAILHUB_DATA)
    share = usage.free / usage.total
    words = f"{usage.free / 2**30:.1f} GiB free ({share:.0%})."
    ok = share >= LEAST_FREE
    return Part("Disk", ok, "ok" if ok else "slow", words, round(share, 4))


def _span(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
