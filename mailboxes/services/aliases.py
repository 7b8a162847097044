"""Further addresses that a mailbox may send as. The provider decides in the end; here an administrator says which to try."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction

import audit
from mailboxes.models import Mailbox
from mailboxes.services import addresses

MOST = 50


def set_aliases(mailbox: Mailbox, entries: Iterable[str], *, actor: audit.Actor) -> None:
    """Replaces the list. Raises ValidationError with a sentence for each entry that is no address."""
    wrong: list[str] = []
    found: dict[str, str] = {}
    for entry in entries:
        try:
            address = addresses.parse(entry).address
        except addresses.BadAddress as error:
            wrong.append(str(error))
        else:
            if address.casefold() != mailbox.address.casefold():
                found.setdefault(address.casefold(), address)
    if len(found) > MOST:
        wrong.append(f"{len(found)} further addresses are too many; {MOST} are allowed.")
    if wrong:
        raise ValidationError({"aliases": wrong})
    before, after = mailbox.aliases, list(found.values())
    with transaction.atomic():
        Mailbox.objects.filter(pk=mailbox.pk).update(aliases=after)
        audit.record(
            "mailbox.aliases_changed",
            actor=actor,
            tenant_id=mailbox.tenant_id,
            target=mailbox,
            detail={"from": before, "to": after},
        )
    mailbox.aliases = after
