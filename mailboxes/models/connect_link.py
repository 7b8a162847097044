"""The owner's single-use link, and each trip to the provider."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models

from accounts.models import TenantRow
from accounts.roles import Right
from mailboxes.models.mailbox import Mailbox


class ConnectLink(TenantRow):
    """What it asks for holds here, not on the mailbox: a known mailbox changes only when the new consent succeeds."""

    view_right = Right.MAILBOXES_VIEW

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="links")
    provider_app = models.ForeignKey("mailboxes.ProviderApp", on_delete=models.CASCADE)
    sign_in_as = models.EmailField(max_length=254, blank=True)
    receive = models.CharField(max_length=4, choices=Mailbox.Receive.choices)
    send = models.BooleanField()
    purpose = models.CharField(max_length=300, blank=True)  # why, in the asker's words, for the owner to read
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_by_label = models.CharField(max_length=254)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)  # withdrawn here, or the owner said "I don't know them"
    ended_why = models.CharField(max_length=20, blank=True)

    def __str__(self) -> str:
        return f"link for {self.mailbox}"


class ConsentAttempt(TenantRow):
    """One trip to the provider. The row, not the session, says that its state may be used, and only once."""

    view_right = Right.MAILBOXES_VIEW
    LIFE = timedelta(minutes=10)

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="attempts")
    provider_app = models.ForeignKey("mailboxes.ProviderApp", on_delete=models.CASCADE)
    link = models.ForeignKey(ConnectLink, null=True, on_delete=models.CASCADE, related_name="attempts")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    sign_in_as = models.EmailField(max_length=254, blank=True)
    receive = models.CharField(max_length=4, choices=Mailbox.Receive.choices)
    send = models.BooleanField()
    scopes = models.JSONField(default=list)  # as asked
    state_hash = models.CharField(max_length=64, unique=True)  # SHA-256 of the state, hexadecimal
    nonce = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    consumed_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=40, blank=True)  # '' = under way; "connected", or a code of words.REASONS
    detail = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return f"consent for {self.mailbox}"
