"""What a message looks like on its way out."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from mailboxes.api.cursors import Next
from mailboxes.api.schema import Answer, Moment, Text


class Person(Answer):
    name: str
    address: str


class MessageFilter(Answer):
    folder: UUID | None = Field(None, description="Only this folder.")
    q: Text | None = Field(None, max_length=200, description="Words in the subject or the addresses; all of them.")


class MessageAnswer(Answer):
    id: UUID
    folder: UUID
    uid: str = Field(description="IMAP: the UID; POP3: the UIDL.")
    message_id: str = Field(description="The header; it identifies nothing by itself.")
    subject: str
    from_: list[Person] = Field(alias="from")
    to: list[Person]
    date: Moment = Field(description="The Date header, else when the server received it.")
    size: int = Field(description="Of the raw message, in bytes.")
    flags: list[str]
    sha256: str = Field(description="Of the raw message, hexadecimal.")


class MessagePage(Answer):
    items: list[MessageAnswer]
    next: Next


class AttachmentAnswer(Answer):
    n: int = Field(description="For /attachments/{n}.")
    filename: str
    content_type: str = Field(description="As the message says.")
    size: int = Field(description="Decoded, in bytes.")


class WholeMessage(MessageAnswer):
    """A message as a person reads it; /raw has all of it."""

    mailbox: UUID
    cc: list[Person]
    in_reply_to: str
    gone_at: Moment | None = Field(description="Since when the server no longer has it.")
    text: str
    html: str = Field(description="Without scripts, images and forms; show it in a sandboxed frame all the same.")
    attachments: list[AttachmentAnswer]
    left_out: str = Field(description="What is not shown here, and why; '' when all is.")
