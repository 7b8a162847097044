"""Mailboxes that only send are never polled: what a callback could not prove for a passing fault is proven here."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from mailboxes.errors import MailError
from mailboxes.models import Mailbox
from mailboxes.services import live_test, states, tokens

State = Mailbox.State
UNPROVEN = (State.PENDING, State.DELAYED, State.THROTTLED, State.MISCONFIGURED)
PAUSE = timedelta(minutes=2)  # since it came to this state


def due(now: datetime, limit: int) -> list[UUID]:
    """Send-only mailboxes with a permission whose sign-in has not worked yet, or no longer did."""
    rows = Mailbox.objects.filter(
        receive=Mailbox.Receive.NONE, send=True, token__isnull=False, state__in=UNPROVEN, state_since__lte=now - PAUSE
    )
    return list(rows.order_by("state_since").values_list("pk", flat=True)[:limit])


def prove_again(mailbox_id: UUID) -> bool:
    """Whether the mail server takes the token now; the mailbox's state follows."""
    mailbox = Mailbox.objects.select_related("provider_app__tenant").get(pk=mailbox_id)
    if mailbox.token_id is None:
        return False
    try:
        bearer = tokens.bearer(mailbox.token_id)
    except MailError as error:
        states.from_error(mailbox, error)
        return False
    checks = live_test.prove(mailbox.provider_app, mailbox.address, bearer, receive=mailbox.receive, send=mailbox.send)
    live_test.log(mailbox, checks, bearer.generation)
    fault = checks[0].error
    if fault is not None:
        states.from_error(mailbox, fault)
        return False
    states.healthy(mailbox, next_poll_at=None)
    return True
