"""From a draft to the exact bytes that go out: RFC 5322 headers, MIME, seven bits, CRLF, no line over 998 octets."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import NamedTuple
from uuid import UUID

from django.utils.crypto import salted_hmac

from mailboxes.models import Mailbox
from mailboxes.services import header_lines
from mailboxes.services.check_draft import GREATEST_MESSAGE, Checked, check, too_large
from mailboxes.services.draft import Attachment, Draft, DraftRefused

MAILHUB_ID_HEADER = "X-Mailhub-ID"

_WIRE = SMTP.clone(cte_type="7bit", max_line_length=76)


class Composed(NamedTuple):
    """The bytes, and what the outbox keeps beside them. Bcc is in the envelope, never in the bytes."""

    raw: bytes
    message_id: str
    mailhub_id: str
    checked: Checked


def mailhub_id(outbox_id: UUID) -> str:
    """An HMAC under a key derived from SECRET_KEY: whoever shows it has seen this very message go out."""
    return salted_hmac("mailboxes.outbox.mailhub_id", str(outbox_id), algorithm="sha256").hexdigest()


def compose(draft: Draft, mailbox: Mailbox, outbox_id: UUID) -> Composed:
    """Raises DraftRefused, with words for each field, before anything is stored."""
    checked = check(draft, mailbox)
    domain = checked.sender.address.rpartition("@")[2]
    message_id = f"<{secrets.token_hex(16)}@{domain[-200:].lstrip('.-')}>"
    ours = mailhub_id(outbox_id)
    raw = _head(draft, checked, message_id, ours) + _body(draft)
    if len(raw) > GREATEST_MESSAGE:
        raise DraftRefused({"attachments" if draft.attachments else "text": [too_large(len(raw))]})
    _require_fit_for_the_wire(raw)
    return Composed(raw, message_id, ours, checked)


def _require_fit_for_the_wire(raw: bytes) -> None:
    """Seven bits, whole line ends, no long line (RFC 5321, 4.5.3.1.6): a bare one could smuggle a second message."""
    lines = raw.split(b"\r\n")
    whole = raw.count(b"\r") == raw.count(b"\n") == len(lines) - 1
    if not (whole and raw.isascii() and b"\0" not in raw and max(map(len, lines)) <= 998):
        raise AssertionError("the composed bytes are not fit for the wire")


def _head(draft: Draft, checked: Checked, message_id: str, ours: str) -> bytes:
    lines = [
        header_lines.addresses("From", [checked.sender]),
        header_lines.addresses("To", checked.to) if checked.to or not checked.cc else b"",
        header_lines.addresses("Cc", checked.cc) if checked.cc else b"",
        header_lines.addresses("Reply-To", [checked.reply_to]) if checked.reply_to else b"",
        header_lines.text("Subject", draft.subject.strip()) if draft.subject.strip() else b"",
        header_lines.words("Date", [_date(checked.send_at)]),
        header_lines.words("Message-ID", [message_id]),
    ]
    references = checked.references or ([checked.in_reply_to] if checked.in_reply_to else [])
    if checked.in_reply_to:
        lines.append(header_lines.words("In-Reply-To", [checked.in_reply_to]))
    if references:
        lines.append(header_lines.words("References", references))
    lines.append(header_lines.words(MAILHUB_ID_HEADER, [ours]))
    lines += [header_lines.text(name, value) for name, value in checked.headers.items()]
    return b"".join(lines)


def _date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC))


def _body(draft: Draft) -> bytes:
    """The MIME headers and what follows them."""
    message = EmailMessage(policy=_WIRE)
    if draft.text or not draft.html:
        message.set_content(draft.text)
        if draft.html:
            message.add_alternative(draft.html, subtype="html")
    else:
        message.set_content(draft.html, subtype="html")
    for item in draft.attachments:
        maintype, subtype = _type(item)
        message.add_attachment(item.content, maintype=maintype, subtype=subtype, filename=_filename(item.filename))
    return message.as_bytes()


def _type(item: Attachment) -> tuple[str, str]:
    """message/* and multipart/* may not be in base64 (RFC 2046, 5.2.1): such a file travels as plain octets."""
    maintype, _, subtype = item.content_type.lower().partition("/")
    return ("application", "octet-stream") if maintype in ("message", "multipart") else (maintype, subtype)


def _filename(name: str) -> str:
    """The last part of a path, as some programs hand over whole paths."""
    return re.split(r"[/\\]", name.strip())[-1] or "attachment"
