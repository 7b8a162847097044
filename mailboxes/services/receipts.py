"""The owner's receipt: who holds it may read what was allowed, and take it back, without an account."""

from __future__ import annotations

import hashlib
from uuid import UUID

from django.core import signing

import audit
from mailboxes.models import ConsentAttempt
from mailboxes.services import revoke
from mailboxes.services.grants import Ended

_SALT = "mailboxes.receipt"
CONNECTED = "connected"


def signed(attempt: ConsentAttempt) -> str:
    return signing.Signer(salt=_SALT).sign(str(attempt.pk))


def find(text: str) -> ConsentAttempt | None:
    """The consent behind a receipt; None for one that we did not sign."""
    try:
        pk = UUID(signing.Signer(salt=_SALT).unsign(text))
    except (signing.BadSignature, ValueError):
        return None
    rows = ConsentAttempt.objects.select_related("mailbox__token", "provider_app__tenant", "link")
    return rows.filter(pk=pk, outcome=CONNECTED).first()


def number(attempt: ConsentAttempt) -> str:
    """A short name to quote: MH-7F3A-90C2."""
    digest = hashlib.sha256(f"{_SALT}:{attempt.pk}".encode()).hexdigest().upper()
    return f"MH-{digest[:4]}-{digest[4:8]}"


def is_current(attempt: ConsentAttempt) -> bool:
    """Whether the permission of this receipt is still the mailbox's: neither ended nor given anew since, by whomever."""
    token = attempt.mailbox.token
    if token is None or not token.subject:  # the organisation's own has no account
        return False
    newer = ConsentAttempt.objects.filter(
        mailbox=attempt.mailbox_id, outcome=CONNECTED, created_at__gt=attempt.created_at
    )
    return not newer.exists()


def take_back(attempt: ConsentAttempt, *, actor: audit.Actor) -> Ended | None:
    """None when there is nothing to take back (any more)."""
    return revoke.disconnect(attempt.mailbox, actor=actor, reason="taken_back") if is_current(attempt) else None
