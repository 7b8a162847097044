"""Whose answer is this? (RFC 9207)"""

from __future__ import annotations

from django.http import HttpRequest

from mailboxes.models import ConsentAttempt
from mailboxes.services import discovery
from mailboxes.services.refused import Refused


def require_issuer(request: HttpRequest, attempt: ConsentAttempt) -> None:
    """RFC 9207: `iss` is required when the discovery announces it, checked whenever it is there. Raises Refused."""
    config = attempt.provider_app.discovery or {}
    issuer = request.GET.get("iss")
    if issuer is None:
        if config.get("authorization_response_iss_parameter_supported") is True:
            raise Refused("iss_missing")
    elif not discovery.facts(attempt.provider_app).answer_is_from(str(config.get("issuer", "")), issuer):
        raise Refused("iss_mismatch", issuer[:200])
