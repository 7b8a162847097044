"""The organisation's audit chain: read, and verified."""

from __future__ import annotations

from typing import Any, Literal

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from accounts.roles import Right
from audit.models import AuditEvent
from audit.own_heads import own_heads
from audit.verify import verify
from mailboxes.api import cursors
from mailboxes.api.auth import key_of, opens
from mailboxes.api.cursors import Next
from mailboxes.api.schema import Answer, Moment

router = Router(tags=["Audit"])


class ActorAnswer(Answer):
    kind: Literal["person", "owner", "key", "system"]
    id: str = Field(description="'' for Mailhub itself, and for a mailbox's owner without an account here.")
    label: str = Field(description="What people read: an e-mail address, the name of a key.")


class ObjectAnswer(Answer):
    type: str = Field(description="Such as mailboxes.mailbox.")
    id: str
    label: str


class EventAnswer(Answer):
    seq: int = Field(description="1, 2, 3… without gaps.")
    at: Moment
    actor: ActorAnswer
    action: str = Field(description="noun.past_participle, such as mailbox.connected.")
    object: ObjectAnswer | None
    outcome: Literal["ok", "refused", "failed"]
    detail: dict[str, Any]
    hash: str = Field(description="SHA-256 over the hash before it and this event, hexadecimal.")


class EventPage(Answer):
    items: list[EventAnswer]
    next: Next


class Verdict(Answer):
    ok: bool
    count: int = Field(description="Good events, up to the first bad one.")
    head: str | None = Field(description="The hash of the last good event.")
    first_bad: int | None = Field(description="The number of the first event that is wrong or missing.")
    tail_proven: bool = Field(description="Signed heads show that nothing was cut off at the end.")
    why: str


def events(request: HttpRequest) -> QuerySet[AuditEvent]:
    """Those of the key's own tenant: the chain of the installation is no tenant's."""
    tenants = key_of(request).tenants_with(Right.AUDIT_VIEW).order_by().values("pk")
    return AuditEvent.objects.filter(tenant_id__in=tenants)


def shown(event: AuditEvent) -> dict[str, Any]:
    target = {"type": event.object_type, "id": event.object_id, "label": event.object_label}
    return {
        **{name: getattr(event, name) for name in ("seq", "at", "action", "outcome", "detail", "hash")},
        "actor": {"kind": event.actor_kind, "id": event.actor_id, "label": event.actor_label},
        "object": target if event.object_type else None,
    }


@router.get("", operation_id="list_audit_events", response=EventPage, **opens(Right.AUDIT_VIEW))
def list_audit_events(request: HttpRequest, page: cursors.Paging) -> dict[str, Any]:
    """List what was done, the oldest first."""
    return cursors.page(request, events(request), page, shown, "seq")


@router.get("/verify", operation_id="verify_audit_events", response=Verdict, **opens(Right.AUDIT_VIEW))
def verify_audit_events(request: HttpRequest) -> dict[str, Any]:
    """Compute every hash of the organisation's chain anew, and hold it against the signed heads."""
    chain = key_of(request).tenant_id
    result = verify(chain, own_heads().get(str(chain)))
    names = ("ok", "count", "head", "first_bad", "tail_proven", "why")
    return {name: getattr(result, name) for name in names}
