"""One refresh at a time per token across processes: a fenced lease in the token's row, no lock held over the network."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from mailboxes.errors import LeaseLost
from mailboxes.models import Token

FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(minutes=30)
UNUSED_FOR = timedelta(minutes=30)  # before a token without mailboxes counts as left behind


@dataclass(frozen=True)
class RefreshLease:
    """The right to ask for and to store the next answer of one token."""

    token_id: UUID
    lease_id: UUID
    generation: int
    answers_lost: int  # requests with the present refresh token that left without an answer, before this one

    def rows(self) -> Any:
        return Token.objects.filter(pk=self.token_id, lease_id=self.lease_id)

    def write(self, **columns: Any) -> None:
        """A conditional UPDATE on the lease. Raises LeaseLost when somebody else has taken it."""
        if not self.rows().update(**columns):
            raise LeaseLost("the refresh lease was taken over")

    def mark_sent(self) -> None:
        """Committed before the request leaves: a mark without an answer tells the next holder that one was lost.

        Also takes the time anew, so that the lease outlasts the request it stands for.
        """
        now = timezone.now()
        with transaction.atomic(durable=True):
            self.write(request_sent_at=now, lease_until=now + settings.MAILHUB_REFRESH_LEASE)

    def put_off(self, reason: str, *, retry_after: timedelta | None, failures: int, answer_came: bool) -> datetime:
        """Give the lease back with a time before which nobody asks again."""
        retry_at = timezone.now() + (retry_after or _pause(failures))
        mark: dict[str, Any] = {"request_sent_at": None} if answer_came else {}
        self.write(
            lease_id=None, lease_until=None, retry_at=retry_at, retry_reason=reason, failures=F("failures") + 1, **mark
        )
        return retry_at

    def give_back(self) -> None:
        """Without an answer and without a reason to wait."""
        self.rows().update(lease_id=None, lease_until=None)


def take(token: Token) -> RefreshLease | None:
    """The lease, if the row is still as it was read and nobody refreshes it; None otherwise.

    A dead process's lease runs out; its mark then says that an answer was lost.
    """
    now = timezone.now()
    lease_id = uuid4()
    lost = token.answers_lost + (1 if token.request_sent_at else 0)
    free = Q(lease_id=None) | Q(lease_until__lt=now)
    due = Q(retry_at=None) | Q(retry_at__lte=now)
    rows = Token.objects.filter(
        free,
        due,
        pk=token.pk,
        dead_reason="",  # ended since it was read: what is in memory is never sent again, and nothing stored for it
        generation=token.generation,
        request_sent_at=token.request_sent_at,
        answers_lost=token.answers_lost,
    )
    with transaction.atomic(durable=True):
        taken = rows.update(
            lease_id=lease_id,
            lease_until=now + settings.MAILHUB_REFRESH_LEASE,
            request_sent_at=None,
            answers_lost=lost,
        )
    return RefreshLease(token.pk, lease_id, token.generation, lost) if taken else None


def take_for_the_end(token: Token) -> RefreshLease | None:
    """The lease of a token that nobody shall use any more; pauses and marks count for nothing. None while it is renewed."""
    now = timezone.now()
    lease_id = uuid4()
    with transaction.atomic(durable=True):
        taken = Token.objects.filter(Q(lease_id=None) | Q(lease_until__lt=now), pk=token.pk, mailboxes=None).update(
            lease_id=lease_id, lease_until=now + settings.MAILHUB_REFRESH_LEASE, dead_reason="disconnected"
        )
    return RefreshLease(token.pk, lease_id, token.generation, token.answers_lost) if taken else None


def _pause(failures: int) -> timedelta:
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(failures, 8)))
    return longest * random.uniform(0.75, 1.0)  # noqa: S311 - jitter, not a secret
