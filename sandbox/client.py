"""The one OAuth client of the sandbox: Mailhub."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from authlib.oauth2.rfc6749 import ClientMixin

MAIL_SCOPES = ("mail.imap", "mail.pop", "mail.smtp")
SCOPES = ("openid", "email", "profile", "offline_access", *MAIL_SCOPES)
UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


@dataclass(frozen=True)
class Client(ClientMixin):
    client_id: str
    secret: str
    base_url: str

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """None: every request names its own."""

    def get_allowed_scope(self, scope: str | None) -> str:
        return " ".join(name for name in dict.fromkeys((scope or "").split()) if name in SCOPES)

    def check_redirect_uri(self, uri: str) -> bool:
        """Mailhub has a callback for every provider app: the base URL and a UUID, exactly."""
        return re.fullmatch(re.escape(self.base_url) + "/connect/callback/" + UUID + "/", uri) is not None

    def check_client_secret(self, secret: str) -> bool:
        return secrets.compare_digest(secret.encode(), self.secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method != "none"

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return kind in ("authorization_code", "refresh_token", "client_credentials")
