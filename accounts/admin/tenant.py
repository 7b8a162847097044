from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from accounts.admin.add_page import AddPage
from accounts.admin.base import TenantAdmin
from accounts.models import Tenant
from accounts.roles import Right
from accounts.services.create_tenant import create_tenant
from accounts.services.password_link import password_link
from accounts.services.rename_tenant import rename_tenant


class NewTenantForm(forms.Form):
    name = forms.CharField(max_length=120, label="Name of the organisation")
    owner = forms.EmailField(
        label="Owner's e-mail address",
        help_text="The first owner adds everybody else. Somebody new to Mailhub gets a set-password link.",
    )


@admin.register(Tenant)
class OrganisationAdmin(AddPage, TenantAdmin):
    """The organisations. Platform operators make them; those who may change theirs rename it."""

    view_right: ClassVar[Right | None] = Right.MEMBERS_VIEW
    change_right: ClassVar[Right | None] = Right.TENANT_CHANGE
    tenant_path: ClassVar[str] = "pk"
    add_title = "New organisation"
    add_button = "Create the organisation"

    list_display = ("name", "slug", "created_at")
    search_fields = ("name", "slug")
    ordering = ("name",)
    fields = ("name", "slug", "created_at")
    readonly_fields = ("slug", "created_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def get_add_form(self, request: HttpRequest, data: Any) -> NewTenantForm:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return NewTenantForm(data)

    def add(self, request: HttpRequest, form: Any) -> HttpResponse:
        created = create_tenant(
            form.cleaned_data["name"], owner_email=form.cleaned_data["owner"], actor=self.actor(request)
        )
        if created.needs_password:
            return self.show_link(request, created.owner, password_link(created.owner))
        return self.done(request, f"{created.tenant} was created; {created.owner} is its owner.")

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        rename_tenant(obj, name=obj.name, actor=self.actor(request))
