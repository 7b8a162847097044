"""When a message is tried again, and when Mailhub gives up."""

from __future__ import annotations

import random
import re
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Max

from mailboxes.errors import DeliveryFault, MailError
from mailboxes.models import OutboxMessage, SendAttempt

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 120, 240))  # then the last, again and again
GIVE_UP = timedelta(hours=24)  # after the first try
GIVE_UP_LIMIT = timedelta(hours=72)  # … when a limit of a day was reached: some servers say so of what they never take
LIMIT_PAUSE = timedelta(hours=4)  # a daily limit of a provider slides: asked again a few times a day

_MAILBOX_LIMIT = re.compile(
    r"\b5\.4\.5\b.*(limit|quota)|(daily|sending).{0,20}(limit|quota).{0,20}(exceed|reach)|submission\s?quota\s?exceeded",
    re.I,
)
_ORGANISATION_LIMIT = re.compile(
    r"tenant.{0,20}(external )?recipient.{0,20}(rate|limit|quota)|\b5\.7\.(232|233|236)\b", re.I
)


class Limit(NamedTuple):
    """A provider's limit on how much may go out; nothing is wrong with the message."""

    pause: timedelta
    of_organisation: bool


def limit_in(error: MailError) -> Limit | None:
    """Google: 550 5.4.5. Microsoft: SubmissionQuotaExceeded of a mailbox, external recipients of a whole organisation."""
    if not isinstance(error, DeliveryFault) or not error.status:
        return None
    pause = error.retry_after or LIMIT_PAUSE
    if _ORGANISATION_LIMIT.search(error.reply):
        return Limit(pause, True)
    return Limit(pause, False) if _MAILBOX_LIMIT.search(error.reply) else None


def pause_after(tries: int) -> timedelta:
    """After so many tries in a row: growing, spread by a tenth."""
    return PAUSES[min(max(tries, 1), len(PAUSES)) - 1] * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret


def next_try(outbox: OutboxMessage, now: datetime, asked: timedelta | None = None) -> datetime | None:
    """When to try again: what the server asked for, at least; None when that is too late to go on."""
    again = _tries_before(outbox)
    due_at = now + max(pause_after(outbox.tries - again), asked or timedelta())
    return None if _is_too_late(outbox, again, due_at, GIVE_UP) else due_at


def after_limit(outbox: OutboxMessage, now: datetime, limit: Limit) -> datetime | None:
    """When to try again what a limit held up; None when that is too late to go on."""
    due_at = now + limit.pause
    return None if _is_too_late(outbox, _tries_before(outbox), due_at, GIVE_UP_LIMIT) else due_at


def _tries_before(outbox: OutboxMessage) -> int:
    """The tries of earlier rounds: a person who sends it again begins a new one."""
    return outbox.attempts.filter(stage=SendAttempt.Stage.AGAIN).aggregate(last=Max("number"))["last"] or 0


def _is_too_late(outbox: OutboxMessage, again: int, due_at: datetime, patience: timedelta) -> bool:
    first = outbox.attempts.filter(stage=SendAttempt.Stage.STARTED, number__gt=again).order_by("number").first()
    return first is not None and due_at > first.at + patience
