"""The organisation switcher: which one tenant the pages show, or all that the person may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from accounts.models import Tenant

SESSION_KEY = "tenant"


class TenantMiddleware:
    """Sets `request.tenant`. On a page of the administration `?tenant=slug` chooses and `?tenant=` shows all again.

    The parameter is taken off the address by a redirect: the admin's lists would read it as a filter. Other pages
    keep a `tenant` parameter of their own (Microsoft's answer to an administrator's approval has one).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.tenant = None  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if not request.user.is_authenticated:
            return None
        match = request.resolver_match
        is_administration = match is not None and (match.app_name == "admin" or match.url_name == "dashboard")
        if is_administration and request.method in ("GET", "HEAD") and "tenant" in request.GET:
            self.choose(request, request.GET["tenant"])
            return HttpResponseRedirect(self.without_choice(request))
        chosen = request.session.get(SESSION_KEY)
        if chosen:
            request.tenant = Tenant.objects.visible_to(request.user).filter(pk=chosen).first()  # type: ignore[attr-defined]
        return None

    def choose(self, request: HttpRequest, slug: str) -> None:
        if not slug:
            request.session.pop(SESSION_KEY, None)
            return
        tenant = Tenant.objects.visible_to(request.user).filter(slug=slug).first()
        if tenant is None:
            raise Http404
        request.session[SESSION_KEY] = str(tenant.pk)

    def without_choice(self, request: HttpRequest) -> str:
        query = request.GET.copy()
        query.pop("tenant", None)
        path = "/" + urlsplit(request.path).path.lstrip("/")  # never //host, which a browser reads as another site
        return f"{path}?{query.urlencode()}" if query else path
