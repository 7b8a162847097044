"""How allauth's social part behaves here: our unsaved app, our guarded session, our pages; nobody signs in by it."""

from __future__ import annotations

from typing import Any

import requests
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from mailboxes.consent import answers
from mailboxes.consent.issuer import require_issuer
from mailboxes.protocols.replies import redact
from mailboxes.services import discovery
from mailboxes.services.egress import http_session
from mailboxes.services.refused import Refused


class SocialAdapter(DefaultSocialAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """The one of this trip; there are no others, neither in the database nor in the settings."""
        app: SocialApp | None = getattr(request, "mailbox_social_app", None)
        return [app] if app is not None and provider in (app.provider, app.provider_id) else []

    def get_requests_session(self) -> requests.Session:
        trip = getattr(self.request, "mailbox_trip", None)
        if trip is None:
            raise PermissionDenied("no request leaves without a provider app behind it")
        return http_session(trip.provider_app.tenant)

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Instead of allauth's page. With a matched `state` it is this browser's trip, and the provider said no."""
        if provider.id != "mailbox":
            return
        if "state" not in (extra_context or {}):
            raise ImmediateHttpResponse(answers.not_ours(request))
        raise ImmediateHttpResponse(answers.provider_said_no(request, _refusal(request)))


def _refusal(request: HttpRequest) -> Refused:
    """The provider's error (RFC 6749, 4.1.2.1) in our words; its own stay behind "Details"."""
    attempt = request.mailbox_trip  # type: ignore[attr-defined]
    try:
        require_issuer(request, attempt)  # an error has to name its issuer as well (RFC 9207, 2.4)
    except Refused as refused:
        return refused
    error, description = request.GET.get("error", ""), request.GET.get("error_description", "")
    better = discovery.facts(attempt.provider_app).reason_for(error, description)
    plain = "denied" if error == "access_denied" else "provider_error"
    return Refused(better or plain, redact(f"{error}: {description}" if description else error))
