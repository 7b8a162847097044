"""Our provider class, registered with allauth: OpenID Connect that takes nothing from the query string."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from django.http import HttpRequest


class MailboxProvider(OpenIDConnectProvider):
    id = "mailbox"
    name = "Mailbox"
    pkce_enabled_default = True
    supports_token_authentication = False

    def get_oauth2_adapter(self, request: HttpRequest) -> Any:
        from mailboxes.consent.oauth2 import MailboxOAuth2Adapter  # allauth loads this module before the models

        return MailboxOAuth2Adapter(request, request.mailbox_trip)  # type: ignore[attr-defined]

    def get_auth_params_from_request(self, request: HttpRequest, action: str) -> dict[str, str]:
        params: dict[str, str] = self.get_auth_params()
        return params

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:
        scope: list[str] = self.get_scope()
        return scope


provider_classes = [MailboxProvider]
