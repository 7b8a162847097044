"""The admin site of Mailhub: whose models it shows, where its doors lead, what the frame of every page needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.db.models.base import ModelBase
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache

from mailhub import navigation


class MailhubSite(AdminSite):
    site_title = "Mailhub"
    site_header = "Mailhub"
    index_title = "Overview"
    enable_nav_sidebar = False  # ours stands in base_site.html; stock's needs its own sheet and script
    empty_value_display = "–"

    # Others register what must not be seen (allauth.mfa's page shows TOTP secrets): theirs are ignored.
    OURS: ClassVar[frozenset[str]] = frozenset({"audit", "accounts", "mailboxes"})
    # Signing in belongs to allauth; view_on_site looks up any row of any tenant by its id.
    CLOSED: ClassVar[frozenset[str]] = frozenset({"password_change", "password_change_done", "view_on_site"})

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.disable_action("delete_selected")  # it would go round the services and their audit record

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        models = [model_or_iterable] if isinstance(model_or_iterable, ModelBase) else list(model_or_iterable)
        super().register([model for model in models if model._meta.app_label in self.OURS], admin_class, **options)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [pattern for pattern in super().get_urls() if getattr(pattern, "name", None) not in self.CLOSED]

    @method_decorator(never_cache)
    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """To allauth's sign-in; whoever is signed in already and still sent here has no right to any page."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied
        target = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
            target = reverse("dashboard")
        return redirect(f"{reverse('account_login')}?{urlencode({'next': target})}")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # type: ignore[override]
        return redirect("account_logout")

    @method_decorator(never_cache)
    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The overview."""
        from mailhub.dashboard import figures

        context = self.each_context(request)
        context |= figures(request.user, context["tenant"]) | {"title": self.index_title, "subtitle": None}  # type: ignore[arg-type]
        return TemplateResponse(request, "admin/index.html", context | (extra_context or {}))

    def app_index(  # type: ignore[override]
        self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return redirect("dashboard")

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        return []  # drawn nowhere: navigation replaces it, and it would ask every model's rights on every page

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        if not context["has_permission"]:
            return context
        entries = navigation.build(self, request)
        mailboxes = next((entry for _, group in entries for entry in group if entry.model == "mailboxes.mailbox"), None)
        return context | {
            "navigation": entries,
            "section": next((entry.word for _, group in entries for entry in group if entry.current), ""),
            "search_url": mailboxes.url if mailboxes else "",
            "attention": self.attention(request) if mailboxes else 0,
            "tenants": self.tenants(request),
            "tenant": getattr(request, "tenant", None),
        }

    def tenants(self, request: HttpRequest) -> Iterable[Any]:
        """The organisations that the switcher offers."""
        from accounts.models import Tenant

        return Tenant.objects.visible_to(request.user)

    def attention(self, request: HttpRequest) -> int:
        """How many mailboxes wait for a person here, among those that the page shows."""
        from mailboxes.services.attention import waiting

        assert request.user.is_authenticated  # has_permission was asked before
        return waiting(request.user, getattr(request, "tenant", None)).count()
