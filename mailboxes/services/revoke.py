"""Disconnect: the mailbox stops at once, and its permission ends with the last mailbox that used it. The mail stays."""

from __future__ import annotations

from django.db import transaction

import audit
from mailboxes.models import Mailbox
from mailboxes.services import grants, links, states
from mailboxes.services.grants import Ended


def disconnect(mailbox: Mailbox, *, actor: audit.Actor, reason: str = "disconnected") -> Ended:
    """What became of the permission, in words. A worker that holds the mailbox finds its lease gone and stops."""
    token_id = mailbox.token_id
    with transaction.atomic():
        mailbox.refresh_from_db(from_queryset=Mailbox.objects.select_for_update())  # no poll moves it meanwhile
        token_id = mailbox.token_id or token_id
        if mailbox.state == Mailbox.State.DISCONNECTED and mailbox.token_id is None:
            return Ended(False, "It was disconnected before.")
        states.change(
            mailbox,
            Mailbox.State.DISCONNECTED,
            reason=reason,
            actor=actor,
            token=None,
            next_poll_at=None,
            poll_requested_at=None,
            failures=0,
        )
        states.drop_lease(mailbox)
        links.end_all(mailbox.pk, reason)
        audit.record(
            "mailbox.disconnected", actor=actor, tenant_id=mailbox.tenant_id, target=mailbox, detail={"reason": reason}
        )
    if token_id is None:
        return Ended(False, "No permission was stored.")
    return grants.end_if_unused(token_id, actor=actor)
