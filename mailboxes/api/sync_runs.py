"""Syncs: asking for one, and what each did."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from accounts.roles import Right
from mailboxes.api import cursors
from mailboxes.api.auth import key_of, opens
from mailboxes.api.cursors import Next
from mailboxes.api.mailboxes import mailbox_or_404
from mailboxes.api.reasons import ReasonAnswer, reason
from mailboxes.api.schema import Answer, Moment
from mailboxes.models import Mailbox, SyncRun
from mailboxes.services.reasons import provider_name
from mailboxes.services.sync_now import request_sync

router = Router(tags=["Mailboxes"])


class RunAnswer(Answer):
    id: UUID
    state: Literal["queued", "running", "done", "failed", "skipped"]
    reason: ReasonAnswer | None = Field(description="Why it failed or could not run.")
    started_at: Moment | None
    ended_at: Moment | None
    added: int
    changed: int
    removed: int


class RunPage(Answer):
    items: list[RunAnswer]
    next: Next


def shown(run: SyncRun, mailbox: Mailbox) -> dict[str, Any]:
    app = mailbox.provider_app
    columns = ("id", "state", "started_at", "ended_at", "added", "changed", "removed")
    why = reason(run.reason, provider=provider_name(app), app=app.name, address=mailbox.address)
    return {**{name: getattr(run, name) for name in columns}, "reason": why}


@router.post(
    "/{mailbox_id}/sync",
    operation_id="sync_mailbox",
    response={202: RunAnswer},
    **opens(Right.MAILBOXES_CONNECT, "not_found"),
)
def sync_mailbox(request: HttpRequest, mailbox_id: UUID) -> Status[dict[str, Any]]:
    """Ask for a sync now, in whatever state the mailbox is; where it cannot run, the run says why."""
    mailbox = mailbox_or_404(request, mailbox_id, Right.MAILBOXES_CONNECT)
    return Status(202, shown(request_sync(mailbox, actor=key_of(request)), mailbox))


@router.get(
    "/{mailbox_id}/sync-runs",
    operation_id="list_sync_runs",
    response=RunPage,
    **opens(Right.MAILBOXES_VIEW, "not_found"),
)
def list_sync_runs(request: HttpRequest, mailbox_id: UUID, page: cursors.Paging) -> dict[str, Any]:
    """List the runs of a mailbox, the newest first."""
    mailbox = mailbox_or_404(request, mailbox_id, Right.MAILBOXES_VIEW)
    rows = SyncRun.objects.visible_to(key_of(request)).filter(mailbox=mailbox)
    return cursors.page(request, rows, page, lambda run: shown(run, mailbox), "-created_at", "-id")
