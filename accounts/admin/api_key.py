"""The "API keys" page: which programs may do what, until when, and when each was last seen."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path

from accounts.admin.add_page import AddPage
from accounts.admin.base import TenantAdmin
from accounts.models import ApiKey, Tenant
from accounts.models.api_key import KEY_ROLES
from accounts.roles import Right, Role
from accounts.services.create_api_key import create_api_key
from accounts.services.revoke_api_key import revoke_api_key
from theme.looks import Look
from theme.templatetags.mailhub import ago, pill

WORKS = Look("Works", "ok", "check")
ENDED = Look("Ended", "off", "clock")
REVOKED = Look("Revoked", "off", "cross")
POWERLESS = Look("Maker has left", "off", "cross")
LIVES = [("30", "30 days"), ("90", "90 days"), ("365", "A year"), ("", "Until it is revoked")]


class NewKeyForm(forms.Form):
    tenant = forms.ModelChoiceField(Tenant.objects.none(), label="Organisation", empty_label=None)
    name = forms.CharField(max_length=80, help_text="The program that will use it, as the audit log shall call it.")
    role = forms.ChoiceField(
        choices=[(role.value, role.label) for role in KEY_ROLES],
        initial=Role.OPERATOR,
        help_text="Never more than you may yourself. The key ends when you leave the organisation.",
    )
    may_read_mail = forms.BooleanField(
        required=False,
        label="May read mail",
        help_text="Lists, messages and attachments. Every opened message is audited.",
    )
    days = forms.TypedChoiceField(
        label="Ends after", choices=LIVES, coerce=int, empty_value=None, initial="90", required=False
    )

    def __init__(self, data: Any, *, tenants: QuerySet[Tenant]) -> None:
        super().__init__(data)
        choice: Any = self.fields["tenant"]
        choice.queryset = tenants


@admin.register(ApiKey)
class ApiKeyAdmin(AddPage, TenantAdmin):
    add_right: ClassVar[Right | None] = Right.KEYS_CHANGE
    revoke_right: ClassVar[Right] = Right.KEYS_CHANGE
    add_title = "New API key"
    add_button = "Make the key"

    list_display = ("name", "beginning", "tenant", "role", "reads_mail", "standing", "ends", "seen", "maker")
    list_filter = ("tenant", "role", "may_read_mail")
    list_select_related = ("tenant", "made_by")
    search_fields = ("name", "hint")
    search_help_text = "Name, or how the key begins"
    ordering = ("tenant__name", "name", "id")
    actions = ("revoke",)
    fields = ("name", "beginning", "tenant", "role", "reads_mail", "standing", "ends", "seen", "maker", "created_at")
    readonly_fields = fields
    change_form_template = "admin/accounts/apikey/change_form.html"

    def has_revoke_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.revoke_right, obj)

    @admin.display(description="Begins with", ordering="hint")
    def beginning(self, row: ApiKey) -> str:
        return f"{row.hint}…"

    @admin.display(description="May read mail", ordering="may_read_mail")
    def reads_mail(self, row: ApiKey) -> str:
        return "Yes" if row.may_read_mail else "No"

    @admin.display(description="State", ordering="revoked_at")
    def standing(self, row: ApiKey) -> str:
        if row.revoked_at:
            return pill(REVOKED)
        if not row.is_active:
            return pill(ENDED)
        return pill(WORKS if row.rights() else POWERLESS)

    @admin.display(description="Ends", ordering="expires_at")
    def ends(self, row: ApiKey) -> str:
        return ago(row.expires_at)

    @admin.display(description="Last used", ordering="minute")
    def seen(self, row: ApiKey) -> str:
        return ago(row.minute)

    @admin.display(description="Made by", ordering="made_by__email")
    def maker(self, row: ApiKey) -> str:
        return row.made_by.email if row.made_by else "The command line"

    # Deeds -----------------------------------------------------------------------------------------------------------

    def get_add_form(self, request: HttpRequest, data: Any) -> NewKeyForm:
        tenants = self.with_right(request, Tenant.objects.all(), self.add_right, path="pk")
        if not tenants.exists():
            raise PermissionDenied
        form = NewKeyForm(data, tenants=tenants)
        form.initial["tenant"] = request.tenant  # type: ignore[attr-defined]
        return form

    def add(self, request: HttpRequest, form: Any) -> HttpResponse:
        chosen = form.cleaned_data
        made = create_api_key(
            chosen["tenant"],
            name=chosen["name"],
            role=Role(chosen["role"]),
            may_read_mail=chosen["may_read_mail"],
            days=chosen["days"],
            actor=self.actor(request),
        )
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "The new key",
            "row": made.row,
            "key": made.key,
            "list_url": self.list_url(),
        }
        answer = TemplateResponse(request, "admin/accounts/apikey/made.html", context)
        answer["Cache-Control"] = "no-store"
        return answer

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiKey]) -> None:
        done = sum(revoke_api_key(row, actor=self.actor(request)) for row in rows)
        messages.success(request, f"{done} revoked. The programs that use them are refused from now on.")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.revoke_view)
        return [path("<uuid:pk>/revoke/", view, name="accounts_apikey_revoke"), *super().get_urls()]

    def revoke_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        if request.method != "POST":
            raise Http404
        row: ApiKey = self.row_or_404(request, pk, self.revoke_right)
        done = revoke_api_key(row, actor=self.actor(request))
        return self.done(request, f"“{row}” is revoked." if done else f"“{row}” was revoked before.")

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if object_id is None:
            return super().changeform_view(request, object_id, form_url, extra_context)
        row: ApiKey = self.row_or_404(request, object_id, self.right_to_view)
        may_revoke = row.revoked_at is None and self.has_revoke_permission(request, row)
        context = {"may_revoke": may_revoke, "listing": "API keys", "title": row.name, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)
