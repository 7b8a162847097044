"""The redirect URI: one for each provider app, so that a code can't be taken to another provider (RFC 9700, 4.4.2)."""

from __future__ import annotations

import logging
from uuid import UUID

from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET

from mailboxes.consent import answers
from mailboxes.consent.oauth2 import MailboxOAuth2Adapter, social_app
from mailboxes.errors import MailError
from mailboxes.services import trip
from mailboxes.services.refused import Refused

log = logging.getLogger("mailboxes.consent")


@login_not_required
@never_cache
@sensitive_variables()
@require_GET
def callback(request: HttpRequest, app_id: UUID) -> HttpResponse:
    """Ends on a page that says, in words, connected or why not."""
    attempt = trip.find_attempt(request.GET.get("state", ""))
    if attempt is None:
        return answers.not_ours(request)
    request.mailbox_trip = attempt  # type: ignore[attr-defined]
    if attempt.provider_app_id != app_id:
        return answers.not_ours(request)
    request.mailbox_social_app = social_app(attempt)  # type: ignore[attr-defined]
    try:
        response: HttpResponse = OAuth2CallbackView.adapter_view(MailboxOAuth2Adapter(request, attempt))(request)
        return response
    except Refused as refused:
        return answers.provider_said_no(request, refused)
    except MailError as error:
        return answers.provider_said_no(request, Refused(error.reason, error.detail))
    except Exception as error:
        # Its text may hold an answer's tokens: only where it happened is written down.
        log.error("consent %s failed: %s", attempt.pk, type(error).__name__)  # noqa: TRY400
        return answers.provider_said_no(request, Refused("internal"))
