"""Mailboxes that only send are never polled: what a callback could not prove for a passing fault is proven here."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

import audit
from mailboxes.errors import MailError, SignInRefused
from mailboxes.models import Mailbox
from mailboxes.services import grants, live_test, states, tokens, turn_away

State = Mailbox.State
UNPROVEN = (State.PENDING, State.DELAYED, State.THROTTLED, State.MISCONFIGURED)
PAUSE = timedelta(minutes=2)  # since it came to this state


def due(now: datetime, limit: int) -> list[UUID]:
    """Send-only mailboxes with a permission whose sign-in has not worked yet, or no longer did."""
    resumed = Q(state=State.ACTIVE, proven_at=None) & ~Q(pinned_subject="")
    rows = Mailbox.objects.filter(
        Q(state__in=UNPROVEN) | resumed,
        receive=Mailbox.Receive.NONE,
        send=True,
        token__isnull=False,
        state_since__lte=now - PAUSE,
    )
    return list(rows.order_by("state_since").values_list("pk", flat=True)[:limit])


def prove_again(mailbox_id: UUID) -> bool:
    """Whether the mail server takes the token now; the mailbox's state follows."""
    mailbox = Mailbox.objects.select_related("provider_app__tenant").get(pk=mailbox_id)
    token_id, ended = mailbox.token_id, None
    if token_id is None:
        return False
    try:
        bearer = tokens.bearer(token_id)
    except MailError as error:
        states.from_error(mailbox, error)
        return False
    checks = live_test.prove(mailbox.provider_app, mailbox.address, bearer, receive=mailbox.receive, send=mailbox.send)
    fault = checks[0].error
    with transaction.atomic():
        mailbox.refresh_from_db(from_queryset=Mailbox.objects.select_for_update())
        live_test.log(mailbox, checks, bearer.generation)
        if mailbox.token_id != token_id or mailbox.state not in (*UNPROVEN, State.ACTIVE):
            return False  # consented anew or stopped meanwhile: what was found out is of the permission before
        if fault is None:
            Mailbox.objects.filter(pk=mailbox.pk, proven_at=None).update(proven_at=timezone.now())
            states.healthy(mailbox, next_poll_at=None)
        elif turn_away.is_unproven(mailbox) and isinstance(fault, SignInRefused):
            ended = turn_away.turn_away(mailbox, fault)
        else:
            states.from_error(mailbox, fault)
    if ended is not None:
        grants.end_if_unused(ended, actor=audit.SYSTEM)
    return fault is None
