"""Provider apps: the list with health, the guided form per preset, check now, delete."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from accounts.admin import TenantAdmin
from accounts.ids import new_id
from accounts.models import Tenant
from accounts.roles import Right
from mailboxes import words
from mailboxes.admin.provider_app_form import ProviderAppForm
from mailboxes.models import ProviderApp
from mailboxes.providers import Provider, by_preset
from mailboxes.services import egress, provider_apps
from mailboxes.services.provider_apps import InUse
from mailboxes.services.reasons import provider_name
from theme.looks import Look
from theme.parts import Banner, Empty
from theme.templatetags import mailhub as tags

SOON = 30  # days before a client secret ends


class ProviderFilter(admin.SimpleListFilter):
    title = "provider"
    parameter_name = "preset"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(ProviderApp.Preset.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(preset=self.value()) if self.value() else queryset


@admin.register(ProviderApp)
class ProviderAppAdmin(TenantAdmin):
    add_right: ClassVar[Right | None] = Right.PROVIDERAPPS_CHANGE
    change_right: ClassVar[Right | None] = Right.PROVIDERAPPS_CHANGE

    ordering = ("name",)
    list_display = ("name", "provider", "organisation", "state_pill", "used_by", "secret_ends", "checked")
    list_filter = (ProviderFilter,)
    list_select_related = ("tenant",)
    search_fields = ("name", "issuer")
    search_help_text = "Name or issuer"
    actions = None
    change_list_template = "admin/mailboxes/providerapp/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(users=Count("mailboxes"))
        return rows

    @admin.display(description="provider", ordering="preset")
    def provider(self, row: ProviderApp) -> str:
        return row.get_preset_display()

    @admin.display(description="organisation", ordering="tenant__name")
    def organisation(self, row: ProviderApp) -> str:
        return row.tenant.name

    @admin.display(description="client secret ends", ordering="secret_expires_at")
    def secret_ends(self, row: ProviderApp) -> str:
        return f"{row.secret_expires_at:%-d %b %Y}" if row.secret_expires_at else "–"

    @admin.display(description="health")
    def state_pill(self, row: ProviderApp) -> str:
        return tags.pill(health(row))

    @admin.display(description="mailboxes", ordering="users")
    def used_by(self, row: Any) -> int:
        users: int = row.users
        return users

    @admin.display(description="checked", ordering="checked_at")
    def checked(self, row: ProviderApp) -> str:
        return tags.ago(row.checked_at)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        may_add = self.has_add_permission(request)
        text = "A provider app is your organisation's own OAuth client at Google, Microsoft or another provider."
        empty = Empty("No provider app yet", f"{text} An administrator of your organisation registers it.")
        if may_add:
            url = reverse("admin:mailboxes_providerapp_add")
            empty = Empty(
                "No provider app yet", f"{text} The form says where to click.", "Register a provider app", url
            )
        context = {"heading": "Provider apps", "can_add": may_add, "empty": empty}
        return super().changelist_view(request, context | (extra_context or {}))

    # One app ---------------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        def deed(name: str, view: Any) -> Any:
            own = self.admin_site.admin_view(view)
            return path(f"<uuid:pk>/{name}/", own, name=f"mailboxes_providerapp_{name}")

        return [deed("check", self.check_view), deed("remove", self.remove_view), *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if object_id is None:
            return self.add_page(request)
        app = self.row_or_404(request, object_id, self.right_to_view)
        return self.form_page(request, app, facts_of(app))

    def add_page(self, request: HttpRequest) -> HttpResponse:
        """First which provider, then its form: the id is made here, so that the redirect URI shows before saving."""
        if not self.has_add_permission(request):
            raise Http404
        preset = request.GET.get("preset", "")
        offered = [value for value in ProviderApp.Preset.values if value != "sandbox" or egress.sandbox_endpoints()]
        if preset not in offered:
            presets = [(value, by_preset(value, egress.sandbox_endpoints())) for value in offered]
            return self.render(request, "choose", title="Register a provider app", presets=presets)
        return self.form_page(
            request, ProviderApp(pk=new_id(), preset=preset), by_preset(preset, egress.sandbox_endpoints())
        )

    def form_page(self, request: HttpRequest, app: ProviderApp, provider: Provider) -> HttpResponse:
        is_new = app.tenant_id is None
        may_change = self.has_add_permission(request) if is_new else self.may(request, self.change_right, app)
        tenants = self.with_right(request, Tenant.objects.all(), self.change_right, path="pk")
        data = request.POST if request.method == "POST" else None
        chosen = request.tenant  # type: ignore[attr-defined]
        form = ProviderAppForm(data, app=app, provider=provider, tenants=tenants, chosen=chosen, may_change=may_change)
        if request.method == "POST":
            if not may_change:
                raise Http404
            if form.is_valid() and (saved := self.save(request, form, app, is_new)):
                if saved.reason:
                    messages.warning(request, f"Saved, but: {explain(saved).text}")
                else:
                    messages.success(request, f"Saved. {provider.name} answered, its endpoints are pinned.")
                return HttpResponseRedirect(reverse("admin:mailboxes_providerapp_change", args=[saved.pk]))
        uri = provider_apps.redirect_uri(form.app)
        return self.render(
            request,
            "form",
            title=f"New provider app: {provider.name}" if is_new else app.name,
            at_whom="your provider" if app.preset == ProviderApp.Preset.OIDC else provider.name,
            app=None if is_new else app,
            form=form,
            provider=provider,
            guide=guide(provider, uri),
            redirect_uri=uri,
            banner=None if is_new else banner(app),
            may_change=may_change,
            pinned=app.pinned_hosts,
        )

    def save(self, request: HttpRequest, form: ProviderAppForm, app: ProviderApp, is_new: bool) -> ProviderApp | None:
        actor: Any = request.user
        try:
            if is_new:
                return provider_apps.create(
                    form.cleaned_data["tenant"], form.data_for_service(), actor=actor, pk=form.app.pk
                )
            return provider_apps.change(app, form.data_for_service(), actor=actor)
        except ValidationError as refusal:
            form.add_refusal(refusal)
            return None

    def render(self, request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
        common = {**self.admin_site.each_context(request), "opts": self.opts, "listing": "Provider apps"}
        return TemplateResponse(request, f"admin/mailboxes/providerapp/{template}.html", common | context)

    def check_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        app = self.row_or_404(request, pk, self.change_right)
        if request.method == "POST":
            actor: Any = request.user
            if provider_apps.refresh_discovery(app, actor=actor):
                messages.success(request, "The provider answered; endpoints and keys are as they were pinned.")
            else:
                messages.error(request, explain(app).text)
        return HttpResponseRedirect(reverse("admin:mailboxes_providerapp_change", args=[pk]))

    def remove_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        app = self.row_or_404(request, pk, self.change_right)
        page = reverse("admin:mailboxes_providerapp_change", args=[pk])
        if request.method == "POST":
            actor: Any = request.user
            try:
                provider_apps.delete(app, actor=actor)
            except InUse:
                messages.error(request, "Mailboxes point to it, so it stays: their history names it.")
                return HttpResponseRedirect(page)
            messages.success(request, f"“{app}” is deleted. Remove the client at the provider too.")
            return HttpResponseRedirect(reverse("admin:mailboxes_providerapp_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Delete {app}",
            "lost": ["The client id and the client secret kept here.", "Open connect links of this app."],
            "kept": ["The client at the provider: remove it there."],
            "form": None,
            "deed": "Delete",
            "back": page,
            "trail": [("Provider apps", reverse("admin:mailboxes_providerapp_changelist")), (app.name, page)],
        }
        return TemplateResponse(request, "admin/confirm.html", context)


def facts_of(app: ProviderApp) -> Provider:
    return by_preset(app.preset, egress.sandbox_endpoints())


def guide(provider: Provider, redirect_uri: str) -> list[tuple[str, str]]:
    """Each step at the provider, and what there is to copy in it ('' for nothing)."""
    return [
        (step.replace("{redirect_uri}", "").rstrip(), redirect_uri if "{redirect_uri}" in step else "")
        for step in provider.register_steps
    ]


def health(app: ProviderApp) -> Look:
    today = timezone.localdate()
    if app.reason:
        return words.HEALTH["failed"]
    if app.secret_expires_at and app.secret_expires_at < today:
        return words.HEALTH["expired"]
    if app.secret_expires_at and (app.secret_expires_at - today).days <= SOON:
        return words.HEALTH["expiring"]
    return words.HEALTH["ok" if app.pinned_hosts else "unchecked"]


def explain(app: ProviderApp) -> words.Words:
    return words.explain(app.reason, provider=provider_name(app), app=app.name)


def waiting(app: Any) -> str:
    users = app.users
    return f"{users:,} mailbox{'es need' if users > 1 else ' needs'} it." if users else "No mailbox uses it."


def banner(app: ProviderApp) -> Banner | None:
    if app.reason:
        reason = explain(app)
        return Banner(words.HEALTH["failed"], reason.text, reason.who + ".", details=app.reason_detail)
    look = health(app)
    if look in (words.HEALTH["expired"], words.HEALTH["expiring"]):
        return Banner(
            look,
            f"The client secret ends on {app.secret_expires_at:%-d %B %Y}.",
            f"{waiting(app)} Make a new one at the provider and enter it below; both work until then.",
        )
    return None
