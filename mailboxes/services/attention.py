"""What waits for a person here: the mailboxes whose state nobody but an administrator or an owner can mend."""

from __future__ import annotations

from django.db.models import QuerySet

from accounts.models import Tenant, User
from mailboxes.models import Mailbox

NEEDS_A_PERSON = (Mailbox.State.RECONNECT, Mailbox.State.MISCONFIGURED)


def waiting(actor: User, tenant: Tenant | None) -> QuerySet[Mailbox]:
    """Oldest first; only what `actor` may see, only of `tenant` when one is chosen."""
    rows = Mailbox.objects.visible_to(actor).filter(state__in=NEEDS_A_PERSON).order_by("state_since")
    return rows.filter(tenant=tenant) if tenant else rows
