"""Off to the provider: the one redirect, for an owner's link and for an administrator alike."""

from __future__ import annotations

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from accounts.roles import Right
from accounts.visibility import may
from mailboxes.consent.answers import private
from mailboxes.consent.oauth2 import social_app
from mailboxes.models import ProviderApp
from mailboxes.services.trip import Trip, begin_here


def redirect_to_provider(request: HttpRequest, trip: Trip) -> HttpResponse:
    """Both keywords are given, so allauth looks for nothing in the query string."""
    request.mailbox_trip = trip.attempt  # type: ignore[attr-defined]
    request.mailbox_social_app = app = social_app(trip.attempt)  # type: ignore[attr-defined]
    provider = get_adapter(request).get_provider(request, app.provider_id)
    response: HttpResponse = provider.redirect(
        request,
        AuthProcess.REDIRECT,
        state_id=trip.state,
        auth_params=provider.get_auth_params(),
        scope=provider.get_scope(),
    )
    return private(response)


def start_as_admin(
    request: HttpRequest,
    provider_app: ProviderApp,
    *,
    address: str,
    sign_in_as: str = "",
    receive: str = "imap",
    send: bool = True,
) -> HttpResponse:
    """The redirect for a signed-in administrator who consents in his own browser; from a POST.

    Raises PermissionDenied (a message a field), MailError when the provider app cannot be used now.
    """
    if not may(request.user, Right.MAILBOXES_CONNECT, provider_app.tenant):
        raise PermissionDenied
    trip = begin_here(
        provider_app, address=address, sign_in_as=sign_in_as, receive=receive, send=send, user=request.user
    )
    return redirect_to_provider(request, trip)
