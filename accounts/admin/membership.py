"""The "People" page: who belongs to which organisation, as what, and how safe their sign-in is."""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path

from accounts.admin.add_page import AddPage
from accounts.admin.base import TenantAdmin
from accounts.errors import PeopleError
from accounts.models import Membership, Tenant
from accounts.roles import Right, Role
from accounts.second_factor import FACTORS
from accounts.services.add_member import add_member
from accounts.services.change_member import change_member
from accounts.services.password_link import new_password_link, password_link
from accounts.services.remove_member import remove_member
from accounts.services.reset_second_factor import reset_second_factor
from theme.looks import Look
from theme.templatetags.mailhub import ago, pill

SET_UP = Look("Set up", "ok", "check")
NOT_SET_UP = Look("Not yet", "off", "hourglass")  # asked for at the next sign-in, before anything opens


class NewMemberForm(forms.Form):
    tenant = forms.ModelChoiceField(Tenant.objects.none(), label="Organisation", empty_label=None)
    email = forms.EmailField(label="E-mail address", help_text="The address this person signs in with.")
    name = forms.CharField(max_length=120, required=False, help_text="Used only for somebody new to Mailhub.")
    role = forms.ChoiceField(choices=Role.choices, initial=Role.OPERATOR)
    may_read_mail = forms.BooleanField(
        required=False,
        label="May read mail",
        help_text="No role reads mail by itself. Every opened message is audited.",
    )

    def __init__(self, data: Any, *, tenants: QuerySet[Tenant]) -> None:
        super().__init__(data)
        choice: Any = self.fields["tenant"]
        choice.queryset = tenants


@admin.register(Membership)
class MembershipAdmin(AddPage, TenantAdmin):
    add_right: ClassVar[Right | None] = Right.MEMBERS_CHANGE
    change_right: ClassVar[Right | None] = Right.MEMBERS_CHANGE
    delete_right: ClassVar[Right | None] = Right.MEMBERS_CHANGE
    add_title = "Add a person"
    add_button = "Add"

    list_display = ("person", "name", "tenant", "role", "reads_mail", "has_second_factor", "last_sign_in")
    list_filter = ("tenant", "role", "may_read_mail")
    list_select_related = ("tenant", "user")
    search_fields = ("user__email", "user__name")
    ordering = ("tenant__name", "user__email")
    fields = (
        "person",
        "name",
        "tenant",
        "role",
        "may_read_mail",
        "has_second_factor",
        "last_sign_in",
        "created_at",
    )
    readonly_fields = ("person", "name", "has_second_factor", "last_sign_in", "created_at")
    change_form_template = "admin/accounts/membership/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        factors = Authenticator.objects.filter(user=OuterRef("user"), type__in=FACTORS)
        rows: QuerySet[Any] = super().get_queryset(request).annotate(second_factor=Exists(factors))
        return rows

    @admin.display(description="Person", ordering="user__email")
    def person(self, row: Membership) -> str:
        return row.user.email

    @admin.display(description="Name", ordering="user__name")
    def name(self, row: Membership) -> str:
        return row.user.name

    @admin.display(description="May read mail", ordering="may_read_mail")
    def reads_mail(self, row: Membership) -> str:
        return "Yes" if row.may_read_mail else "No"

    @admin.display(description="Second factor", ordering="second_factor")
    def has_second_factor(self, row: Any) -> str:
        return pill(SET_UP if row.second_factor else NOT_SET_UP)

    @admin.display(description="Last sign-in", ordering="user__last_login")
    def last_sign_in(self, row: Membership) -> str:
        return ago(row.user.last_login)

    # Deeds -----------------------------------------------------------------------------------------------------------

    def get_add_form(self, request: HttpRequest, data: Any) -> NewMemberForm:
        tenants = self.with_right(request, Tenant.objects.all(), self.add_right, path="pk")
        if not tenants.exists():
            raise PermissionDenied
        form = NewMemberForm(data, tenants=tenants)
        form.initial["tenant"] = request.tenant  # type: ignore[attr-defined]
        return form

    def add(self, request: HttpRequest, form: Any) -> HttpResponse:
        chosen = form.cleaned_data
        added = add_member(
            chosen["tenant"],
            email=chosen["email"],
            name=chosen["name"],
            role=Role(chosen["role"]),
            may_read_mail=chosen["may_read_mail"],
            actor=self.actor(request),
        )
        if added.is_new_person:
            return self.show_link(request, added.membership.user, password_link(added.membership.user))
        return self.done(request, f"{added.membership.user} now belongs to {added.membership.tenant}.")

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        change_member(obj, role=Role(obj.role), may_read_mail=obj.may_read_mail, actor=self.actor(request))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except PeopleError as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(self.list_url())

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        remove_member(obj, actor=self.actor(request))

    def get_urls(self) -> list[Any]:
        own = [
            path("<uuid:pk>/password-link/", self.wrapped(self.password_link_view), name="accounts_membership_link"),
            path("<uuid:pk>/reset-factor/", self.wrapped(self.reset_factor_view), name="accounts_membership_reset"),
        ]
        return own + super().get_urls()

    def wrapped(self, view: Any) -> Any:
        return self.admin_site.admin_view(view)

    def password_link_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        row = self.posted_row(request, pk)
        try:
            link = new_password_link(row, actor=self.actor(request))
        except PeopleError as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(self.list_url())
        return self.show_link(request, row.user, link)

    def reset_factor_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        row = self.posted_row(request, pk)
        try:
            done = reset_second_factor(row, actor=self.actor(request))
        except PeopleError as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(self.list_url())
        return self.done(
            request,
            f"{row.user} must set up a new second factor now, in every session."
            if done
            else f"{row.user} had no second factor.",
        )

    def posted_row(self, request: HttpRequest, pk: Any) -> Membership:
        if request.method != "POST":
            raise Http404
        row: Membership = self.row_or_404(request, pk, Right.MEMBERS_CHANGE)
        return row
