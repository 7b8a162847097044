"""Any OpenID Connect provider whose mail servers take its tokens: what is not known is assumed to be strict."""

from __future__ import annotations

from mailboxes.providers.base import Provider

OIDC = Provider(
    preset="oidc",
    name="OpenID Connect",
    issuer_help="As the provider writes it, for example https://login.example.org; its discovery lies below /.well-known/.",
    # Strict providers drop offline_access without prompt=consent, and then give no refresh token.
    authorize_extra={"prompt": "consent"},
    refusals={"admin_consent_required": "admin_approval"},
    register_steps=(
        "Register a confidential web client with the authorization code flow and refresh tokens.",
        "Redirect URI: {redirect_uri}",
        "Allow the scopes openid, email, offline_access and the mail scopes named below.",
        "Copy client id and client secret to this form.",
    ),
)
