"""How often a key may ask, and how much it may send at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import ApiKey
from mailboxes.api.problems import Problem
from mailboxes.services.check_draft import GREATEST_MESSAGE

GREATEST_BODY: Final = 256 * 1024  # bytes
GREATEST_DRAFT: Final = GREATEST_MESSAGE + 12 * 1024 * 1024  # files in base64, and 4 million letters of text and HTML


def count(key: ApiKey) -> None:
    """Counts the request. Raises Problem when the key has had its share of this minute.

    Counted in the key's own row: exact among all processes, and one UPDATE where a cache would take four queries.
    """
    now = timezone.now()
    minute = now.replace(second=0, microsecond=0)
    # Of two that come first in a minute one begins it, and the other then counts in it.
    if not (_one_more(key, minute) or _begin(key, minute) or _one_more(key, minute)):
        raise Problem("rate", headers={"Retry-After": str(_seconds_left(now, minute))})


def _one_more(key: ApiKey, minute: datetime) -> bool:
    within = ApiKey.objects.filter(pk=key.pk, minute=minute, requests__lt=settings.MAILHUB_API_REQUESTS_PER_MINUTE)
    return bool(within.update(requests=F("requests") + 1))


def _begin(key: ApiKey, minute: datetime) -> bool:
    return bool(ApiKey.objects.filter(pk=key.pk).exclude(minute=minute).update(minute=minute, requests=1))


def _seconds_left(now: datetime, minute: datetime) -> int:
    return max(1, round((minute + timedelta(minutes=1) - now).total_seconds()))


def read_body(request: HttpRequest, greatest: int) -> None:
    """Reads the body of a request that has passed the door. Raises Problem before anything is read that is too large.

    Django's own bound is one for the whole site; a message with its files needs a wider one, forms a narrower.
    """
    if request.method not in ("POST", "PATCH"):
        return
    if "HTTP_TRANSFER_ENCODING" in request.META:
        raise Problem("invalid", "Send the body with a Content-Length.", status=411)
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise Problem("invalid", "The Content-Length is no number.", status=400) from None
    if length > greatest:
        raise Problem("too_large", f"A body of this call has at most {greatest} bytes.")
    if length and request.content_type != "application/json":
        raise Problem("invalid", "Send the body as application/json.", status=415)
    request._body = request.read()  # as `request.body` does, which would ask for the site's own bound first
