"""A mailbox that the organisation owns, its state, and when it is looked at next."""

from __future__ import annotations

import base64
import secrets

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import TenantRow
from accounts.roles import Right
from mailboxes.models.secret_field import SecretField


def new_data_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


class Mailbox(TenantRow):
    """`next_poll_at` says when it is due (null: never); `lease_*` say who works on it now and fence every write."""

    view_right = Right.MAILBOXES_VIEW

    class State(models.TextChoices):
        PENDING = "pending", "Waits for owner"
        AWAITING_ADMIN = "awaiting_admin", "Waits for approval"
        ACTIVE = "active", "Active"
        DELAYED = "delayed", "Delayed"
        THROTTLED = "throttled", "Paused by provider"
        RECONNECT = "reconnect", "Reconnect"
        MISCONFIGURED = "misconfigured", "Needs a setting"
        SUSPENDED = "suspended", "Suspended"
        DISCONNECTED = "disconnected", "Disconnected"

    class Receive(models.TextChoices):
        IMAP = "imap", "IMAP"
        POP3 = "pop3", "POP3"
        NONE = "none", "Nothing"

    class Keep(models.TextChoices):
        FULL = "full", "Whole messages"
        HEADERS = "headers", "Headers only"

    provider_app = models.ForeignKey("mailboxes.ProviderApp", on_delete=models.PROTECT, related_name="mailboxes")
    token = models.ForeignKey(
        "mailboxes.Token", null=True, blank=True, on_delete=models.PROTECT, related_name="mailboxes"
    )
    address = models.EmailField(max_length=254)
    sign_in_as = models.EmailField(max_length=254, blank=True)  # '' = the address itself
    receive = models.CharField(max_length=4, choices=Receive.choices, default=Receive.IMAP)
    send = models.BooleanField(default=True)
    keep = models.CharField(max_length=7, choices=Keep.choices, default=Keep.FULL)
    aliases = models.JSONField(default=list, blank=True)  # further addresses that it may send as
    # The account pinned by the first consent; a new subject on a known address waits for an administrator.
    pinned_issuer = models.CharField(max_length=300, blank=True, editable=False)
    pinned_subject = models.CharField(max_length=255, blank=True, editable=False)
    # When a mail server first took the pinned account; null: not yet tried, so the pin says nothing.
    proven_at = models.DateTimeField(null=True, blank=True, editable=False)

    state = models.CharField(max_length=14, choices=State.choices, default=State.PENDING, editable=False)
    reason = models.CharField(max_length=40, blank=True, editable=False)  # a code of words.REASONS
    reason_detail = models.CharField(max_length=500, blank=True, editable=False)  # the provider's words, redacted
    state_since = models.DateTimeField(default=timezone.now, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)  # in a row; 0 after a success

    next_poll_at = models.DateTimeField(null=True, blank=True, editable=False)
    poll_requested_at = models.DateTimeField(null=True, blank=True, editable=False)  # "Sync now" while a lease runs
    lease_id = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    send_paused_until = models.DateTimeField(
        null=True, blank=True, editable=False
    )  # a daily limit, or a pause asked for
    last_synced_at = models.DateTimeField(null=True, blank=True, editable=False)
    message_count = models.PositiveIntegerField(default=0, editable=False)
    # Base64 of 32 bytes; read in services/bodies.py alone. Made with the mailbox: no later save() can lose it.
    data_key = SecretField(default=new_data_key)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "mailboxes"
        constraints = [models.UniqueConstraint("tenant", Lower("address"), name="mailbox_once_per_tenant")]
        indexes = [models.Index(fields=["next_poll_at", "lease_until"], name="mailbox_due")]
        ordering = ["address"]

    def __str__(self) -> str:
        return self.address

    @property
    def account_expected(self) -> str:
        """The address that must sign in at the provider: `sign_in_as` for a shared mailbox, else its own."""
        return self.sign_in_as or self.address
