"""A line for each request, with an id that error pages show; nothing secret: paths under /connect/ are cut, queries dropped."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from uuid import uuid4

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse

from mailboxes import faults

log = logging.getLogger("mailhub.request")
QUIET = ("/static/", "/livez", "/readyz")
_SECRET_PATHS = re.compile(r"^/(connect|accounts/password/reset/key)/.+$")


def redacted(path: str) -> str:
    """The path as it may be logged: a connect link's token is a key to a mailbox."""
    return _SECRET_PATHS.sub(r"/\1/…", path)


class RequestLogMiddleware:
    """Sets `request.request_id` (12 hexadecimal digits), answers it as X-Request-ID, logs method, path, status, ms."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Where it broke and as what; not the exception's text, which may quote a provider's answer."""
        if isinstance(exception, (Http404, PermissionDenied, BadRequest, SuspiciousOperation)):
            return  # an answer, not a fault
        log.error("%s %s broke: %s", request.request_id, redacted(request.path), faults.told(exception))  # type: ignore[attr-defined]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.request_id = uuid4().hex[:12]  # type: ignore[attr-defined]
        began = time.monotonic()
        response = self.get_response(request)
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        if not request.path.startswith(QUIET) or response.status_code >= 500:
            level = logging.ERROR if response.status_code >= 500 else logging.INFO
            milliseconds = round((time.monotonic() - began) * 1000)
            log.log(
                level,
                "%s %s %s %s %d ms",
                request.request_id,  # type: ignore[attr-defined]
                request.method,
                redacted(request.path),
                response.status_code,
                milliseconds,
            )
        return response
