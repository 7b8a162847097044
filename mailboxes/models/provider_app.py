"""An organisation's own OAuth client at a provider, and the mail servers that take its tokens."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Lower

from accounts.models import TenantRow
from accounts.roles import Right
from mailboxes.models.secret_field import SecretField


class ProviderApp(TenantRow):
    """Endpoints and hosts are pinned when it is saved: its secrets and tokens never follow a changed host."""

    view_right = Right.PROVIDERAPPS_VIEW

    class Preset(models.TextChoices):
        GOOGLE = "google", "Google"
        MICROSOFT = "microsoft", "Microsoft 365"
        OIDC = "oidc", "OpenID Connect"
        SANDBOX = "sandbox", "Sandbox"

    class Flow(models.TextChoices):
        AUTHORIZATION_CODE = "authorization_code", "Consent of the owner"
        CLIENT_CREDENTIALS = "client_credentials", "The organisation allows it (client credentials)"

    class AuthMethod(models.TextChoices):
        BASIC = "client_secret_basic", "HTTP Basic"
        POST = "client_secret_post", "In the form"

    name = models.CharField(max_length=80)
    preset = models.CharField(max_length=12, choices=Preset.choices)
    flow = models.CharField(max_length=20, choices=Flow.choices, default=Flow.AUTHORIZATION_CODE)
    issuer = models.URLField(max_length=300)
    client_id = models.CharField(max_length=300)
    client_secret = SecretField(null=True)
    secret_expires_at = models.DateField(null=True, blank=True)
    auth_method = models.CharField(max_length=20, choices=AuthMethod.choices, default=AuthMethod.BASIC)
    imap = models.JSONField(null=True, blank=True)  # {"host", "port", "security": "tls"|"starttls"}; null: none
    pop3 = models.JSONField(null=True, blank=True)
    smtp = models.JSONField(null=True, blank=True)
    scopes = models.JSONField(default=dict)  # {"imap": [...], "pop3": [...], "smtp": [...]}: mail scopes only
    # Discovery as it was when the hosts were pinned; None until fetched.
    discovery = models.JSONField(null=True, blank=True, editable=False)
    discovered_at = models.DateTimeField(null=True, blank=True, editable=False)
    pinned_hosts = models.JSONField(default=list, editable=False)  # "host:port" that secrets and tokens may go to
    exclusive = models.BooleanField(
        "used by Mailhub alone",
        default=False,
        help_text="No other product uses this client or its project: permission may then be revoked at the provider.",
    )
    reason = models.CharField(max_length=40, blank=True, editable=False)  # '' = healthy; else a code of words.REASONS
    reason_detail = models.CharField(max_length=500, blank=True, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "provider app"
        constraints = [models.UniqueConstraint("tenant", Lower("name"), name="providerapp_name_once")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def server(self, protocol: str) -> dict[str, Any] | None:
        """{"host", "port", "security"} of `imap`, `pop3` or `smtp`; None when this app has none."""
        server: dict[str, Any] | None = getattr(self, protocol)
        return server
