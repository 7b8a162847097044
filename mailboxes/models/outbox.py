"""What shall go out, and the ledger of every step taken to send it."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import TenantRow
from accounts.roles import Right
from mailboxes.models.body import Body
from mailboxes.models.mailbox import Mailbox


class OutboxMessage(TenantRow):
    """Never back to `queued` after the marker "dot follows": what the server may have is `uncertain`."""

    view_right = Right.OUTBOX_VIEW

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        DEFERRED = "deferred", "Will be tried again"
        REJECTED = "rejected", "Rejected"
        UNCERTAIN = "uncertain", "Uncertain"
        CANCELLED = "cancelled", "Cancelled"

    mailbox = models.ForeignKey(Mailbox, on_delete=models.PROTECT, related_name="outbox")
    state = models.CharField(max_length=9, choices=State.choices, default=State.QUEUED, editable=False)
    reason = models.CharField(max_length=40, blank=True, editable=False)  # a code of words.REASONS
    reply = models.CharField(max_length=500, blank=True, editable=False)  # the server's last reply
    body = models.ForeignKey(Body, on_delete=models.PROTECT, related_name="+")  # the very bytes that go out
    sender = models.EmailField(max_length=254)  # envelope and From
    recipients = models.JSONField()  # {"to": [...], "cc": [...], "bcc": [...]}: addresses
    refused_recipients = models.JSONField(default=list)  # [{"address", "reply"}] of a message that went to the others
    recipients_left = models.JSONField(default=list)  # the others have it, these are tried again; empty: all or none
    subject = models.CharField(max_length=998, blank=True)
    message_id = models.CharField(max_length=250)
    mailhub_id = models.CharField(max_length=64)  # HMAC in X-Mailhub-ID: finds it again in Sent
    idempotency_key = models.CharField(max_length=255, null=True)
    request_hash = models.CharField(max_length=64, blank=True)
    queued_by = models.CharField(max_length=254)  # who, for people to read; the audit log knows more
    queued_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(default=timezone.now)  # not before: send_at, then the next try
    tries = models.PositiveIntegerField(default=0)
    lease_id = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    dot_at = models.DateTimeField(null=True, editable=False)  # the marker of the current try: the dot may have left
    sent_at = models.DateTimeField(null=True, editable=False)
    looked_at = models.DateTimeField(null=True, editable=False)  # last look for an uncertain one in Sent
    evidence = models.JSONField(null=True, editable=False)  # what the look found, for people

    class Meta:
        verbose_name = "outbox message"
        constraints = [
            models.UniqueConstraint(
                fields=["mailbox", "idempotency_key"],
                condition=models.Q(idempotency_key__isnull=False),
                name="outbox_idempotent",
            )
        ]
        indexes = [
            models.Index(fields=["state", "due_at"], name="outbox_due"),
            models.Index(fields=["mailbox", "-queued_at"], name="outbox_list"),
        ]
        ordering = ["-queued_at", "-id"]

    def __str__(self) -> str:
        """For the audit log, which outlives the message and is read without the right to read mail: not its subject."""
        return f"a message from {self.sender}"

    @property
    def title(self) -> str:
        return self.subject or "(no subject)"


class SendAttempt(TenantRow):
    """A row per step, committed before the step is irreversible. `number` counts the tries from 1."""

    view_right = Right.OUTBOX_VIEW

    class Stage(models.TextChoices):
        STARTED = "started", "Started"
        CONNECTED = "connected", "Connected"
        SIGNED_IN = "signed_in", "Signed in"
        RECIPIENTS = "recipients", "Recipients accepted"
        DOT_FOLLOWS = "dot_follows", "Content sent, final dot next"
        ACCEPTED = "accepted", "Accepted by the server"
        REFUSED = "refused", "Refused"
        FAILED = "failed", "Failed"
        LOST = "lost", "Connection lost after the final dot"
        FOUND = "found", "Found in Sent"
        ABANDONED = "abandoned", "Worker ended"
        AGAIN = "again", "Sent again by a person"
        CONFIRMED = "confirmed", "Marked as sent by a person"

    outbox = models.ForeignKey(OutboxMessage, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    stage = models.CharField(max_length=12, choices=Stage.choices)
    reply = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.number}: {self.get_stage_display()}"
