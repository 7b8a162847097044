"""Connect links: what a mailbox's owner opens to give consent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from accounts.roles import Right
from mailboxes.api.auth import key_of, opens
from mailboxes.api.provider_apps import app_or_404
from mailboxes.api.schema import Answer, Moment, Request, Text, example
from mailboxes.services import links

router = Router(tags=["Connect links"])
Receive = Literal["imap", "pop3", "none"]
LONGEST = int(links.LONGEST_LIFE.total_seconds())


class NewLink(Request):
    model_config = example(
        provider_app="0190f3b4-6c1e-7d2a-8f00-3b5a0c4e1d22",
        address="anna@example.org",
        sign_in_as=None,
        receive="imap",
        send=True,
        expires_in=86400,
    )

    provider_app: UUID
    address: Text = Field(max_length=254)
    sign_in_as: Text | None = Field(
        None, max_length=254, description="The person whose account opens a shared mailbox; null: the address itself."
    )
    receive: Receive = "imap"
    send: bool = True
    expires_in: int = Field(86400, ge=1, le=LONGEST, description="Seconds that the link lives.")
    purpose: Text = Field("", max_length=300, description="Why you ask, for the owner to read.")


class LinkAnswer(Answer):
    id: UUID
    url: str = Field(
        description="Opens once, without an account here. Whoever holds it can answer: send it to the owner alone."
    )
    expires_at: Moment


@router.post(
    "", operation_id="create_connect_link", response={201: LinkAnswer}, **opens(Right.MAILBOXES_CONNECT, "not_found")
)
def create_connect_link(request: HttpRequest, body: NewLink) -> Status[dict[str, Any]]:
    """Make a link for the owner of a mailbox.

    An address is one mailbox of its organisation, without regard to case: a known one keeps its id, its mail and its
    settings until the new consent succeeds.
    """
    key = key_of(request)
    link, url = links.create_link(
        key.tenant,
        provider_app=app_or_404(request, body.provider_app, Right.MAILBOXES_CONNECT),
        address=body.address,
        sign_in_as=body.sign_in_as,
        receive=body.receive,
        send=body.send,
        expires_in=timedelta(seconds=body.expires_in),
        purpose=body.purpose,
        actor=key,
    )
    return Status(201, {"id": link.pk, "url": url, "expires_at": link.expires_at})
