from __future__ import annotations

from typing import Any, ClassVar

from audit.actor import SYSTEM
from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.admin.base import TenantAdmin
from accounts.errors import PeopleError
from accounts.models import Tenant
from accounts.roles import Right
from accounts.services.create_tenant import create_tenant
from accounts.services.password_link import password_link
from accounts.services.rename_tenant import rename_tenant


class NewTenantForm(forms.ModelForm[Tenant]):
    owner = forms.EmailField(
        label="Owner's e-mail address", help_text="Becomes the first owner. Somebody new gets a set-password link."
    )

    class Meta:
        model = Tenant
        fields = ("name",)


@admin.register(Tenant)
class OrganisationAdmin(TenantAdmin):
    """The organisations. Platform operators make them; who may change theirs renames it."""

    view_right: ClassVar[Right | None] = Right.MEMBERS_VIEW
    change_right: ClassVar[Right | None] = Right.TENANT_CHANGE
    tenant_path: ClassVar[str] = "pk"

    list_display = ("name", "slug", "created_at")
    search_fields = ("name", "slug")
    fields = ("name", "slug", "created_at")
    readonly_fields = ("slug", "created_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewTenantForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("name", "owner") if obj is None else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        actor: Any = request.user
        if change:
            name, obj.name = obj.name, form.initial["name"]
            rename_tenant(obj, name=name, actor=actor)
            return
        created = create_tenant(obj.name, owner_email=form.cleaned_data["owner"], actor=actor)
        obj.__dict__.update(created.tenant.__dict__)
        form.created = created

    def response_add(self, request: HttpRequest, obj: Tenant, post_url_continue: str | None = None) -> HttpResponse:
        return super().response_add(request, obj, post_url_continue)
