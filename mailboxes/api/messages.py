"""Messages: lists, one of them, its very bytes, its files. All of it only with the right to read mail; audited."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from ninja import Path, Query, Router

from accounts.roles import Right
from mailboxes import words
from mailboxes.api import cursors
from mailboxes.api.auth import key_of, opens
from mailboxes.api.mailboxes import mailbox_or_404
from mailboxes.api.message_schemas import MessageFilter, MessagePage, WholeMessage
from mailboxes.api.problems import Problem
from mailboxes.errors import MailError
from mailboxes.models import Folder, Message
from mailboxes.services import open_message, read_message

router = Router(tags=["Messages"])
INERT = "application/octet-stream"  # nothing that a browser would run
BYTES = {"type": "string", "format": "binary"}


def shown(message: Message) -> dict[str, Any]:
    columns = ("id", "message_id", "subject", "to", "date", "size", "flags", "sha256")
    return {
        **{name: getattr(message, name) for name in columns},
        "folder": message.folder_id,
        "uid": message.uidl if message.uid is None else str(message.uid),
        "from": message.sender,
    }


def message_or_404(request: HttpRequest, pk: UUID) -> Message:
    rows = Message.objects.visible_to(key_of(request), Right.MAIL_READ)
    return get_object_or_404(rows.select_related("mailbox", "body__pack"), pk=pk)


def stored(message: Message) -> bytes | None:
    """None where only headers are kept. Raises Problem for what is damaged: never answered in part."""
    try:
        return open_message.stored(message)
    except MailError as error:
        raise Problem("internal", words.explain(error.reason, address=message.mailbox.address).text) from error


@router.get(
    "/mailboxes/{mailbox_id}/messages",
    operation_id="list_messages",
    response=MessagePage,
    **opens(Right.MAIL_READ, "not_found"),
)
def list_messages(
    request: HttpRequest, mailbox_id: UUID, page: cursors.Paging, asked: Query[MessageFilter]
) -> dict[str, Any]:
    """List the messages of a mailbox, the newest first; not those that are gone at the server."""
    mailbox = mailbox_or_404(request, mailbox_id, Right.MAIL_READ)
    rows = Message.objects.visible_to(key_of(request), Right.MAIL_READ).filter(mailbox=mailbox, gone_at=None)
    if asked.folder is not None:
        rows = rows.filter(folder=get_object_or_404(Folder, mailbox=mailbox, pk=asked.folder))
    for word in (asked.q or "").casefold().split():
        rows = rows.filter(search_text__contains=word)
    return cursors.page(request, rows, page, shown, "-date", "-id")


@router.get(
    "/messages/{message_id}",
    operation_id="get_message",
    response=WholeMessage,
    **opens(Right.MAIL_READ, "not_found", "internal"),
)
def get_message(request: HttpRequest, message_id: UUID) -> dict[str, Any]:
    """Open a message: its text, its HTML made harmless, and the list of its files."""
    message = message_or_404(request, message_id)
    raw = stored(message)
    readable = read_message.read(raw if raw is not None else b"")
    open_message.note(message, "message.opened", actor=key_of(request))
    return {
        **shown(message),
        "mailbox": message.mailbox_id,
        "cc": message.cc,
        "in_reply_to": message.in_reply_to,
        "gone_at": message.gone_at,
        "text": readable.text,
        "html": readable.html,
        "attachments": [
            {"n": each.index, "filename": each.filename, "content_type": each.content_type, "size": each.size}
            for each in readable.attachments
        ],
        "left_out": _left_out(raw, readable),
    }


def _left_out(raw: bytes | None, readable: read_message.ReadableMessage) -> str:
    if raw is None:
        return "Of this mailbox only headers are kept."
    if readable.problem:
        return readable.problem
    return "Images and remote content are left out of the HTML." if readable.left_out else ""


@router.get(
    "/messages/{message_id}/raw",
    operation_id="get_raw_message",
    **opens(
        Right.MAIL_READ,
        "not_found",
        "internal",
        responses={200: {"description": "The message", "content": {"message/rfc822": {"schema": BYTES}}}},
    ),
)
def get_raw_message(request: HttpRequest, message_id: UUID) -> HttpResponse:
    """The very bytes that the server gave; their SHA-256 is `sha256` of the message."""
    message = message_or_404(request, message_id)
    raw = stored(message)
    if raw is None:
        raise Problem("not_found", "Of this mailbox only headers are kept.")
    open_message.note(message, "message.exported", actor=key_of(request))
    return _download(raw, f"{message.pk}.eml", "message/rfc822")


@router.get(
    "/messages/{message_id}/attachments/{n}",
    operation_id="get_attachment",
    **opens(
        Right.MAIL_READ,
        "not_found",
        "internal",
        responses={200: {"description": "The file", "content": {INERT: {"schema": BYTES}}}},
    ),
)
def get_attachment(request: HttpRequest, message_id: UUID, n: Annotated[int, Path(ge=0, le=9999)]) -> HttpResponse:
    """A file of the message, by its `n`. Always as application/octet-stream: trust no content type of a message."""
    message = message_or_404(request, message_id)
    raw = stored(message)
    try:
        part = read_message.attachment(raw if raw is not None else b"", n)
    except LookupError:
        raise Http404 from None
    open_message.note(message, "message.exported", actor=key_of(request), attachment=n)
    return _download(part.content, part.filename, INERT)


def _download(content: bytes, name: str, content_type: str) -> HttpResponse:
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return answer
