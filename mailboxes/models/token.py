"""What a consent left us: one grant of one account at one provider app, to which mailboxes point."""

from __future__ import annotations

from django.db import models

from accounts.models import TenantRow
from accounts.roles import Right
from mailboxes.models.secret_field import SecretField


class Token(TenantRow):
    """Access and refresh token of one account. Only services/tokens.py reads or changes the secrets.

    `generation` rises with each stored answer. `lease_*` fence the one refresh that may run; `request_sent_at` is the
    mark written before the request leaves: a mark without an answer is a lost answer (DESIGN, Refresh).
    """

    view_right = Right.MAILBOXES_VIEW

    provider_app = models.ForeignKey("mailboxes.ProviderApp", on_delete=models.PROTECT, related_name="tokens")
    issuer = models.CharField(max_length=300)
    subject = models.CharField(max_length=255, blank=True)  # '' = app-only
    account = models.CharField(max_length=254, blank=True)  # the address that the provider named, for people to read
    access_token = SecretField(null=True)
    refresh_token = SecretField(null=True)
    previous_refresh_token = SecretField(null=True)  # reusable rotation: kept until the new one has worked
    expires_at = models.DateTimeField(null=True)
    scopes = models.JSONField(default=list)  # as granted
    generation = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    refreshed_at = models.DateTimeField(null=True)
    refresh_at = models.DateTimeField(null=True, db_index=True)  # when the upkeep renews it; null: never
    lease_id = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    request_sent_at = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)  # no request before this time (Retry-After, back-off)
    retry_reason = models.CharField(max_length=40, blank=True)  # why retry_at: a code of words.REASONS
    answers_lost = models.PositiveSmallIntegerField(default=0)  # requests with this very refresh token, unanswered
    failures = models.PositiveIntegerField(default=0)
    dead_reason = models.CharField(max_length=40, blank=True)  # '' = alive; else a code of words.REASONS

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider_app", "issuer", "subject"], name="token_once_per_account"),
        ]

    def __str__(self) -> str:
        return self.account or self.subject or "app-only token"
