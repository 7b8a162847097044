"""Folders of a mailbox, as the server lists them."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from accounts.roles import Right
from mailboxes.api import cursors
from mailboxes.api.auth import key_of, opens
from mailboxes.api.cursors import Next
from mailboxes.api.mailboxes import mailbox_or_404
from mailboxes.api.schema import Answer
from mailboxes.models import Folder

router = Router(tags=["Mailboxes"])


class FolderAnswer(Answer):
    id: UUID
    name: str
    role: Literal["inbox", "sent", "drafts", "junk", "trash", "archive", "all", "flagged"] | None = Field(
        description="What the server uses it for; null: nothing special."
    )
    message_count: int


class FolderPage(Answer):
    items: list[FolderAnswer]
    next: Next


def shown(folder: Folder) -> dict[str, Any]:
    return {
        "id": folder.pk,
        "name": folder.name,
        "role": folder.role or None,
        "message_count": folder.message_count,
    }


@router.get(
    "/{mailbox_id}/folders",
    operation_id="list_folders",
    response=FolderPage,
    **opens(Right.MAILBOXES_VIEW, "not_found"),
)
def list_folders(request: HttpRequest, mailbox_id: UUID, page: cursors.Paging) -> dict[str, Any]:
    """List the folders that the server lists now. A POP3 mailbox has one, INBOX."""
    mailbox = mailbox_or_404(request, mailbox_id, Right.MAILBOXES_VIEW)
    rows = Folder.objects.visible_to(key_of(request)).filter(mailbox=mailbox, gone_at=None, selectable=True)
    return cursors.page(request, rows, page, shown, "id")
