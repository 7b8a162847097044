"""400 and 500: Django renders these two without a request, so they would lack the id that the log knows.

403, 404 and 429 get the request, and with it the id, from Django and allauth themselves. Programs below /api/ get problem
documents instead.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseServerError
from django.template.loader import render_to_string

from mailboxes.api import problems

API = "/api/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(API):
        return problems.answer(request, problems.Problem("invalid", status=400))
    return HttpResponseBadRequest(_page("400.html", request))


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith(API):
        return problems.answer(request, problems.Problem("internal"))
    return HttpResponseServerError(_page("500.html", request))


def _page(template: str, request: HttpRequest) -> str:
    """Without context processors: whatever failed may fail again in one of them."""
    return render_to_string(template, {"request_id": getattr(request, "request_id", "")})
