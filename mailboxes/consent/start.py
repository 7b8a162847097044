"""Off to the provider: the one redirect, for an owner's link and for an administrator alike."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.roles import Right
from accounts.visibility import may
from mailboxes import words
from mailboxes.consent.answers import private
from mailboxes.consent.oauth2 import social_app
from mailboxes.errors import MailError
from mailboxes.models import ProviderApp
from mailboxes.services import connect
from mailboxes.services.connect import Trip


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

    Raises PermissionDenied, ValidationError (a message a field), MailError when the provider app cannot be used now.
    """
    if not may(request.user, Right.MAILBOXES_CONNECT, provider_app.tenant):
        raise PermissionDenied
    trip = connect.begin_here(
        provider_app, address=address, sign_in_as=sign_in_as, receive=receive, send=send, user=request.user
    )
    return redirect_to_provider(request, trip)


@never_cache
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """The last button of the wizard, and "Reconnect here" on a mailbox's page, may post straight to this."""
    apps = ProviderApp.objects.visible_to(request.user, Right.MAILBOXES_CONNECT).select_related("tenant")
    try:
        app: Any = get_object_or_404(apps, pk=request.POST.get("provider_app"))
        return start_as_admin(
            request,
            app,
            address=request.POST.get("address", ""),
            sign_in_as=request.POST.get("sign_in_as", ""),
            receive=request.POST.get("receive", "imap"),
            send=request.POST.get("send", "") in ("on", "true", "True", "1"),
        )
    except ValidationError as faults:
        for fault in faults.messages:
            messages.error(request, fault)
    except MailError as error:
        messages.error(request, words.explain(error.reason, app=str(app)).text)
    return HttpResponseRedirect(reverse("admin:mailboxes_mailbox_changelist"))
