"""One host name: passkeys, cookies and redirect URIs are bound to it (127.0.0.1 is another origin than localhost)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, HttpResponseRedirect

STAY = ("/livez", "/readyz", "/api/")


class CanonicalHostMiddleware:
    """GET and HEAD on another allowed host go to the same path at MAILHUB_BASE_URL.

    Probes stay where they are, and so do programs: theirs carry no cookie, and clients drop the key on such a redirect.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.host = urlsplit(settings.MAILHUB_BASE_URL).hostname

    def __call__(self, request: HttpRequest) -> HttpResponse | HttpResponsePermanentRedirect:
        name = request.get_host().rsplit(":", 1)[0]
        if name != self.host and request.method in ("GET", "HEAD") and not request.path.startswith(STAY):
            return HttpResponseRedirect(settings.MAILHUB_BASE_URL + request.get_full_path())
        return self.get_response(request)
