"""What a message to be sent looks like on its way in, and its fate on the way out."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from mailboxes.api.problems import Problem
from mailboxes.api.schema import Answer, Moment, Request, Text, example
from mailboxes.services.check_draft import GREATEST_MESSAGE, LONGEST_TEXT, MOST_ATTACHMENTS, MOST_RECIPIENTS
from mailboxes.services.draft import Attachment, Draft

OutboxState = Literal["queued", "sending", "sent", "deferred", "rejected", "uncertain", "cancelled"]
Stage = Literal[
    "started",
    "connected",
    "signed_in",
    "recipients",
    "dot_follows",
    "accepted",
    "refused",
    "failed",
    "lost",
    "found",
    "abandoned",
    "again",
    "confirmed",
]
Address = Annotated[Text, Field(max_length=1000, description="anna@example.org, or Anna <anna@example.org>")]
Addresses = Annotated[list[Address], Field(max_length=MOST_RECIPIENTS)]


class File(Request):
    filename: Text = Field(min_length=1, max_length=200)
    content_type: Text = Field("application/octet-stream", max_length=255)
    base64: str = Field(max_length=GREATEST_MESSAGE * 4 // 3, json_schema_extra={"format": "byte"})


class NewMessage(Request):
    model_config = example(
        to=["Bob <bob@example.org>"],
        subject="Your order",
        text="Thank you.\n",
        headers={"X-Order": "4711"},
        attachments=[{"filename": "note.txt", "content_type": "text/plain", "base64": "aGVsbG8K"}],
    ) | {"str_max_length": None}

    to: Addresses = []
    cc: Addresses = []
    bcc: Addresses = Field([], description="In no copy that anybody receives.")
    from_: Address | None = Field(None, alias="from", description="null: the mailbox's own address.")
    reply_to: Address | None = None
    in_reply_to: Text | None = Field(None, max_length=998, description="The Message-ID that it answers.")
    send_at: AwareDatetime | None = Field(None, description="Not before; null: now.")
    subject: Text = Field("", max_length=998)
    text: Text = Field("", max_length=LONGEST_TEXT)
    html: Text = Field("", max_length=LONGEST_TEXT)
    headers: dict[Text, Text] = Field({}, description="Further headers: X-…, List-…, References and a few more.")
    attachments: list[File] = Field([], max_length=MOST_ATTACHMENTS)

    def draft(self) -> Draft:
        """Raises Problem: what is no base64, or more than a message carries."""
        values: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("to", "cc", "bcc", "reply_to", "in_reply_to", "send_at", "subject", "text", "html", "headers")
        }
        if sum(len(each.base64) for each in self.attachments) > GREATEST_MESSAGE:
            raise Problem("too_large", f"A message has at most {GREATEST_MESSAGE} bytes, its files in base64 included.")
        files = [
            Attachment(each.filename, each.content_type, _content(number, each.base64))
            for number, each in enumerate(self.attachments)
        ]
        return Draft(sender=self.from_, attachments=files, **values)


def _content(number: int, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Problem("invalid", errors={f"attachments.{number}.base64": "This is no base64 (RFC 4648, 4)."}) from None


class QueuedAnswer(Answer):
    id: UUID
    state: OutboxState


class AttemptAnswer(Answer):
    at: Moment
    stage: Stage
    reply: str = Field(description="The server's own words, redacted; '' when there are none.")


class OutboxAnswer(Answer):
    id: UUID
    state: OutboxState = Field(
        description="`uncertain`: the server may have it. Mailhub looks for it in Sent and never sends it again by itself."
    )
    attempts: list[AttemptAnswer]
    message_id: str
    sent_at: Moment | None
