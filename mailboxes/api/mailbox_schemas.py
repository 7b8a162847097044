"""What a mailbox looks like on its way in and out."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from mailboxes.api.connect_links import Receive
from mailboxes.api.cursors import Next
from mailboxes.api.reasons import ReasonAnswer
from mailboxes.api.schema import Answer, Moment, Request, Text, example

MailboxState = Literal[
    "pending",
    "awaiting_admin",
    "active",
    "delayed",
    "throttled",
    "reconnect",
    "misconfigured",
    "suspended",
    "disconnected",
]


class NewMailbox(Request):
    model_config = example(
        provider_app="0190f3b4-6c1e-7d2a-8f00-3b5a0c4e1d22", address="orders@example.org", receive="imap", send=True
    )

    provider_app: UUID = Field(description="One whose flow is client_credentials.")
    address: Text = Field(max_length=254)
    receive: Receive = "imap"
    send: bool = True


class MailboxFilter(Answer):
    address: Text | None = Field(None, max_length=254, description="Only this address, without regard to case.")
    state: MailboxState | None = Field(None, description="Only those in this state.")


class TokenAnswer(Answer):
    """The permission that is kept; never the token itself."""

    expires_at: Moment | None = Field(description="When the present access token ends; it is renewed before.")
    scopes: list[str] = Field(description="As granted.")
    subject: str = Field(description="The account, as the provider names it; '' for the organisation's own client.")
    refreshed_at: Moment | None


class MailboxAnswer(Answer):
    id: UUID
    address: str
    provider_app: UUID
    receive: Receive
    send: bool
    state: MailboxState
    reason: ReasonAnswer | None
    token: TokenAnswer | None
    last_synced_at: Moment | None
    next_poll_at: Moment | None = Field(description="null: it is not polled in its present state.")
    message_count: int


class MailboxPage(Answer):
    items: list[MailboxAnswer]
    next: Next


class EndedAnswer(Answer):
    revoked: bool = Field(description="Whether the permission was revoked at the provider, too.")
    why: str = Field(description="What became of it, in words.")
