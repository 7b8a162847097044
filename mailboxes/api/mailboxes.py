"""Mailboxes: what is going on with each, and the deeds."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Status

from accounts.roles import Right
from mailboxes.api import cursors
from mailboxes.api.auth import key_of, opens
from mailboxes.api.mailbox_schemas import EndedAnswer, MailboxAnswer, MailboxFilter, MailboxPage, NewMailbox
from mailboxes.api.problems import Problem
from mailboxes.api.provider_apps import app_or_404
from mailboxes.api.reasons import reason
from mailboxes.errors import MailError
from mailboxes.models import Mailbox, Token
from mailboxes.services.connect_app import connect_app
from mailboxes.services.reasons import provider_name
from mailboxes.services.revoke import disconnect
from mailboxes.services.suspend import resume, suspend

router = Router(tags=["Mailboxes"])


def visible(request: HttpRequest, right: Right) -> QuerySet[Mailbox]:
    rows: QuerySet[Mailbox] = Mailbox.objects.visible_to(key_of(request), right)
    return rows


def mailbox_or_404(request: HttpRequest, pk: UUID, right: Right) -> Mailbox:
    return get_object_or_404(visible(request, right).select_related("provider_app", "token", "tenant"), pk=pk)


def shown(mailbox: Mailbox) -> dict[str, Any]:
    app = mailbox.provider_app
    names = {
        "provider": provider_name(app),
        "app": app.name,
        "address": mailbox.address,
        "expected": mailbox.account_expected,
    }
    columns = ("id", "address", "receive", "send", "state", "last_synced_at", "next_poll_at", "message_count")
    return {
        **{name: getattr(mailbox, name) for name in columns},
        "provider_app": mailbox.provider_app_id,
        "reason": reason(mailbox.reason, **names),
        "token": _token(mailbox.token),
    }


def _token(token: Token | None) -> dict[str, Any] | None:
    """Never the token itself; one that ended is none."""
    if token is None or token.dead_reason:
        return None
    return {name: getattr(token, name) for name in ("expires_at", "scopes", "subject", "refreshed_at")}


@router.post(
    "",
    operation_id="create_mailbox",
    response={201: MailboxAnswer},
    **opens(Right.MAILBOXES_CONNECT, "not_found", "unavailable"),
)
def create_mailbox(request: HttpRequest, body: NewMailbox) -> Status[dict[str, Any]]:
    """Open a mailbox by the organisation's own client, without its owner's consent (client credentials).

    Answers when a live sign-in has been tried; `state` says what it found.
    """
    key = key_of(request)
    app = app_or_404(request, body.provider_app, Right.MAILBOXES_CONNECT)
    try:
        made = connect_app(
            key.tenant, provider_app=app, address=body.address, receive=body.receive, send=body.send, actor=key
        )
    except MailError as error:
        raise _refused(error, provider=provider_name(app), app=app.name, address=body.address) from None
    return Status(201, shown(made))


def _refused(error: MailError, **names: str) -> Problem:
    said = reason(error.reason, **names) or {"text": ""}
    if not error.retryable:
        return Problem("invalid", errors={"provider_app": said["text"]})
    seconds = round(error.retry_after.total_seconds()) if error.retry_after else 30
    return Problem("unavailable", said["text"], headers={"Retry-After": str(max(1, seconds))})


@router.get("", operation_id="list_mailboxes", response=MailboxPage, **opens(Right.MAILBOXES_VIEW))
def list_mailboxes(request: HttpRequest, page: cursors.Paging, asked: Query[MailboxFilter]) -> dict[str, Any]:
    """List the mailboxes, the oldest first."""
    rows = visible(request, Right.MAILBOXES_VIEW).select_related("provider_app", "token")
    if asked.address is not None:
        rows = rows.filter(address__iexact=asked.address)
    if asked.state is not None:
        rows = rows.filter(state=asked.state)
    return cursors.page(request, rows, page, shown, "id")


@router.get(
    "/{mailbox_id}", operation_id="get_mailbox", response=MailboxAnswer, **opens(Right.MAILBOXES_VIEW, "not_found")
)
def get_mailbox(request: HttpRequest, mailbox_id: UUID) -> dict[str, Any]:
    """Look at a mailbox: its state, why it is so, and who can mend it."""
    return shown(mailbox_or_404(request, mailbox_id, Right.MAILBOXES_VIEW))


@router.post(
    "/{mailbox_id}/suspend",
    operation_id="suspend_mailbox",
    response=MailboxAnswer,
    **opens(Right.MAILBOXES_CONNECT, "not_found"),
)
def suspend_mailbox(request: HttpRequest, mailbox_id: UUID) -> dict[str, Any]:
    """Stop reading and sending; the permission stays. One that is stopped already stays as it is."""
    mailbox = mailbox_or_404(request, mailbox_id, Right.MAILBOXES_CONNECT)
    suspend(mailbox, actor=key_of(request))
    return shown(mailbox)


@router.post(
    "/{mailbox_id}/resume",
    operation_id="resume_mailbox",
    response=MailboxAnswer,
    **opens(Right.MAILBOXES_CONNECT, "not_found"),
)
def resume_mailbox(request: HttpRequest, mailbox_id: UUID) -> dict[str, Any]:
    """Go on where it was suspended. One that is not suspended stays as it is."""
    mailbox = mailbox_or_404(request, mailbox_id, Right.MAILBOXES_CONNECT)
    resume(mailbox, actor=key_of(request))
    return shown(mailbox)


@router.post(
    "/{mailbox_id}/disconnect",
    operation_id="disconnect_mailbox",
    response=EndedAnswer,
    **opens(Right.MAILBOXES_DISCONNECT, "not_found"),
)
def disconnect_mailbox(request: HttpRequest, mailbox_id: UUID) -> dict[str, Any]:
    """Stop for good. The stored mail stays.

    The token is destroyed with its last mailbox, and revoked at the provider where that harms no other grant.
    """
    mailbox = mailbox_or_404(request, mailbox_id, Right.MAILBOXES_DISCONNECT)
    ended = disconnect(mailbox, actor=key_of(request))
    return {"revoked": ended.revoked, "why": ended.why}
