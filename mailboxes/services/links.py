"""The owner's link: signed, single-use, ending by itself; what it asks for holds on the link until consent succeeds."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

import audit
from mailboxes.models import ConnectLink, ConsentAttempt, Mailbox, ProviderApp
from mailboxes.services import new_mailbox, states

_SALT = "mailboxes.connect-link"
DEFAULT_LIFE = timedelta(days=1)
LONGEST_LIFE = timedelta(days=30)
WAITING = (Mailbox.State.PENDING, Mailbox.State.RECONNECT, Mailbox.State.AWAITING_ADMIN, Mailbox.State.DISCONNECTED)
Standing = Literal["open", "used", "ended", "expired"]


def create_link(
    tenant: object,
    *,
    provider_app: ProviderApp,
    address: str,
    sign_in_as: str | None = "",
    receive: str = "imap",
    send: bool = True,
    expires_in: timedelta = DEFAULT_LIFE,
    purpose: str = "",
    actor: audit.Actor,
) -> tuple[ConnectLink, str]:
    """The link and its URL, which is shown once. Raises ValidationError.

    A known address keeps its id, its mail and its settings until the new consent succeeds.
    """
    address, sign_in_as = address.strip(), (sign_in_as or "").strip()
    if provider_app.tenant != tenant:
        raise ValidationError({"provider_app": "There is no such provider app."})
    new_mailbox.check(
        provider_app,
        address=address,
        sign_in_as=sign_in_as,
        receive=receive,
        send=send,
        flow=ProviderApp.Flow.AUTHORIZATION_CODE,
    )
    if not timedelta(seconds=1) <= expires_in <= LONGEST_LIFE:
        raise ValidationError({"expires_in": f"Between a second and {LONGEST_LIFE.days} days."})
    is_person = actor.actor_kind == "person"
    with transaction.atomic():
        mailbox = new_mailbox.ensure(
            provider_app, address, sign_in_as=sign_in_as, receive=receive, send=send, reason="link_sent"
        )
        link = ConnectLink.objects.create(
            tenant=provider_app.tenant,
            mailbox=mailbox,
            provider_app=provider_app,
            sign_in_as=sign_in_as,
            receive=receive,
            send=send,
            purpose=purpose.strip()[:300],
            created_by_id=UUID(actor.actor_id) if is_person else None,
            created_by_label=actor.actor_label[:254],
            expires_at=timezone.now() + expires_in,
        )
        audit.record(
            "link.created",
            actor=actor,
            tenant_id=link.tenant_id,
            target=mailbox,
            detail={"link": str(link.pk), "expires_at": link.expires_at.isoformat(), "receive": receive, "send": send},
        )
    return link, url_of(link)


def url_of(link: ConnectLink) -> str:
    return f"{settings.MAILHUB_BASE_URL}/connect/{signed(link)}/"


def signed(link: ConnectLink) -> str:
    return signing.Signer(salt=_SALT).sign(str(link.pk))


def find(text: str) -> ConnectLink | None:
    """The link behind a signed token, whatever became of it (`standing`); None for one that we did not sign."""
    try:
        pk = UUID(signing.Signer(salt=_SALT).unsign(text))
    except (signing.BadSignature, ValueError):
        return None
    rows = ConnectLink.objects.select_related("mailbox", "provider_app__tenant", "created_by")
    return rows.filter(pk=pk).first()


def standing(link: ConnectLink) -> Standing:
    """Only an open link leads on."""
    if link.ended_at:
        return "ended"
    if link.used_at:
        return "used"
    return "open" if link.expires_at > timezone.now() else "expired"


def end(link: ConnectLink, why: str, *, actor: audit.Actor) -> bool:
    """Withdrawn by the tenant, or declined by its receiver (`why`: a code of words.REASONS); False if it was over.

    A consent by it that is being proven at this moment connects nothing any more.
    """
    with transaction.atomic():
        link.mailbox.refresh_from_db(from_queryset=Mailbox.objects.select_for_update())  # a proof ends before or after
        if not _closable().filter(pk=link.pk).update(ended_at=timezone.now(), ended_why=why):
            return False
        tell(link, why, actor=actor)
        audit.record(
            "link.ended",
            actor=actor,
            tenant_id=link.tenant_id,
            target=link.mailbox,
            outcome="refused" if why == "declined" else "ok",
            detail={"link": str(link.pk), "why": why},
        )
    return True


def tell(link: ConnectLink, why: str, *, actor: audit.Actor) -> None:
    """The mailbox says it too, where it waits for this very answer."""
    if link.mailbox.state in WAITING:
        states.change(link.mailbox, link.mailbox.state, reason=why, actor=actor)


def end_all(mailbox_id: UUID, why: str) -> None:
    """Inside the caller's deed: no link of an earlier time opens what was closed."""
    _closable().filter(mailbox=mailbox_id).update(ended_at=timezone.now(), ended_why=why)


def _closable() -> QuerySet[ConnectLink]:
    """Not closed, and either unused or used by a consent without an outcome, which would open it again when it fails."""
    attempts = ConsentAttempt.objects.filter(link=OuterRef("pk"))
    done, under_way = attempts.filter(outcome="connected"), attempts.filter(outcome="", consumed_at__isnull=False)
    return ConnectLink.objects.filter(
        Q(used_at=None) | (Exists(under_way) & ~Exists(done)),
        ended_at=None,
    )
