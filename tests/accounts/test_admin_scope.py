"""Django's ways round a scoped queryset, each tried against the People page."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.admin import MembershipAdmin, TenantAdmin
from accounts.models import Membership, Tenant, User
from accounts.roles import Right, Role
from tests.accounts.people import make_member, make_tenant, make_user, signed_in

pytestmark = pytest.mark.django_db

LIST = "admin:accounts_membership_changelist"


def change_url(user: User) -> str:
    return reverse("admin:accounts_membership_change", args=[Membership.objects.get(user=user).pk])


def as_request(user: User, tenant: Tenant | None = None, data: dict[str, Any] | None = None) -> HttpRequest:
    request = RequestFactory().post("/", data or {})
    request.user = user
    request.tenant = tenant  # type: ignore[attr-defined]
    return request


@pytest.fixture
def ours() -> Tenant:
    return make_tenant("Contoso")


@pytest.fixture
def stranger() -> User:
    return make_member(make_tenant("Fabrikam"), user=make_user("stranger@fabrikam.example"))


def test_the_list_holds_ones_own_tenants_people(ours: Tenant, stranger: User) -> None:
    owner = make_member(ours)

    page = signed_in(owner).get(reverse(LIST)).content.decode()

    assert owner.email in page
    assert stranger.email not in page
    assert "Fabrikam" not in page


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
def test_a_role_without_the_right_finds_no_page(ours: Tenant, role: Role) -> None:
    client = signed_in(make_member(ours, role))
    owner = make_member(ours)

    for url in (reverse(LIST), change_url(owner), reverse("admin:accounts_membership_add")):
        assert client.get(url).status_code == 404


def test_somebody_elses_row_is_not_found_in_any_view(ours: Tenant, stranger: User) -> None:
    client = signed_in(make_member(ours))
    pk = Membership.objects.get(user=stranger).pk

    for view in ("change", "delete", "history"):
        assert client.get(reverse(f"admin:accounts_membership_{view}", args=[pk])).status_code == 404
    for view in ("change", "delete"):
        assert client.post(reverse(f"admin:accounts_membership_{view}", args=[pk]), {"post": "yes"}).status_code == 404
    for name in ("accounts_membership_link", "accounts_membership_reset"):
        assert client.post(reverse(f"admin:{name}", args=[pk])).status_code == 404
    assert client.get(reverse("admin:accounts_membership_change", args=["no-uuid"])).status_code == 404
    assert Membership.objects.filter(pk=pk).exists()


def test_an_administrator_looks_but_changes_nothing(ours: Tenant) -> None:
    owner, client = make_member(ours), signed_in(make_member(ours, Role.ADMIN))
    make_member(ours)

    assert client.get(change_url(owner)).status_code == 200
    assert client.post(change_url(owner), {"role": "auditor"}).status_code == 404
    assert client.post(reverse("admin:accounts_membership_add"), {"email": "x@example.org"}).status_code == 404
    assert Membership.objects.get(user=owner).role == Role.OWNER


def test_a_platform_operator_looks_at_all_and_changes_no_members(ours: Tenant, stranger: User) -> None:
    client = signed_in(make_user(is_superuser=True))

    page = client.get(reverse(LIST)).content.decode()

    assert stranger.email in page
    assert client.post(change_url(stranger), {"role": "auditor"}).status_code == 404
    assert client.get(reverse("admin:accounts_tenant_add")).status_code == 200


@pytest.mark.parametrize(
    "lookup",
    [
        "user__password__startswith=a",
        "user__is_superuser=1",
        "user__memberships__tenant__name__startswith=F",
        "tenant__name__startswith=F",
        "tenant__memberships__user__email=x",
        "user__email=stranger@fabrikam.example",
        "id__gt=0",
    ],
)
def test_undeclared_lookups_are_refused(ours: Tenant, lookup: str) -> None:
    assert signed_in(make_member(ours)).get(f"{reverse(LIST)}?{lookup}").status_code == 400


def test_declared_filters_work_and_offer_only_ones_own(ours: Tenant, stranger: User) -> None:
    owner = make_member(ours)
    second = make_tenant("Contoso Labs")
    make_member(second, user=owner)
    client = signed_in(owner)

    page = client.get(reverse(LIST), {"role__exact": "owner", "tenant__id__exact": str(second.pk)})

    assert page.status_code == 200
    assert page.context["cl"].result_count == 1
    offered = [choice["display"] for choice in page.context["cl"].filter_specs[0].choices(page.context["cl"])]
    assert {"Contoso", "Contoso Labs"} <= set(offered)
    assert "Fabrikam" not in offered


def test_another_tenant_in_the_filter_shows_nothing(ours: Tenant, stranger: User) -> None:
    fabrikam = Tenant.objects.get(name="Fabrikam")

    page = signed_in(make_member(ours)).get(reverse(LIST), {"tenant__id__exact": str(fabrikam.pk)})

    assert stranger.email not in page.content.decode()


def test_search_finds_only_ones_own(ours: Tenant, stranger: User) -> None:
    page = signed_in(make_member(ours)).get(reverse(LIST), {"q": "fabrikam"}).content.decode()

    assert stranger.email not in page


def test_the_switcher_narrows_to_one_tenant_and_clears(ours: Tenant) -> None:
    owner = make_member(ours)
    make_member(make_tenant("Contoso Labs"), user=owner)
    colleague = make_member(ours)
    client = signed_in(owner)

    answer = client.get(reverse(LIST) + "?tenant=contoso-labs&q=person")

    assert answer["Location"] == reverse(LIST) + "?q=person"
    assert colleague.email not in client.get(reverse(LIST)).content.decode()
    assert client.get(change_url(colleague)).status_code == 404
    client.get(reverse(LIST) + "?tenant=")
    assert colleague.email in client.get(reverse(LIST)).content.decode()


def test_the_switcher_knows_no_tenant_of_others(ours: Tenant, stranger: User) -> None:
    client = signed_in(make_member(ours))

    assert client.get(reverse(LIST) + "?tenant=fabrikam").status_code == 404
    assert client.get(reverse(LIST) + "?tenant=nothing").status_code == 404


def test_the_switcher_forgets_a_tenant_that_one_has_left(ours: Tenant) -> None:
    person = make_member(ours)
    labs = make_tenant("Contoso Labs")
    make_member(labs, user=person)
    client = signed_in(person)
    client.get(reverse(LIST) + "?tenant=contoso-labs")

    Membership.objects.filter(tenant=labs).delete()

    assert person.email in client.get(reverse(LIST)).content.decode()


def test_a_bulk_action_reaches_only_rows_for_which_one_holds_the_right(ours: Tenant) -> None:
    reached: list[Any] = []

    class WithAction(MembershipAdmin):
        actions = ["touch", "look"]

        @admin.action(permissions=["change"])
        def touch(self, request: HttpRequest, rows: Any) -> None:
            reached.extend(rows)

        @admin.action(permissions=["view"])
        def look(self, request: HttpRequest, rows: Any) -> None:
            reached.extend(rows)

    owner = make_member(ours)
    labs = make_tenant("Contoso Labs")
    make_member(labs, Role.ADMIN, user=owner)
    page = WithAction(Membership, admin.site)
    rows = [str(each.pk) for each in Membership.objects.all()]

    # Two action boxes on the page, the second chosen by a forged index: the function that runs is the one that counts.
    for data in (
        {"action": "touch", "_selected_action": rows},
        {"action": ["touch", "look"], "index": "0", "_selected_action": rows},
    ):
        reached.clear()
        request = as_request(owner, data=data)
        page.response_action(request, page.get_queryset(request))
        assert [row.tenant for row in reached] == [ours]


def test_an_action_must_name_its_permissions() -> None:
    class Careless(MembershipAdmin):
        actions = ["anything"]

        def anything(self, request: HttpRequest, rows: Any) -> None: ...

    with pytest.raises(ImproperlyConfigured, match="permissions"):
        Careless(Membership, admin.site).get_actions(as_request(make_member(make_tenant())))


@pytest.mark.parametrize(
    "declared",
    [{"raw_id_fields": ("user",)}, {"list_editable": ("role",)}, {"inlines": (admin.TabularInline,)}],
    ids=lambda each: next(iter(each)),
)
def test_ways_round_the_door_cannot_be_declared(declared: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured):
        type("Careless", (TenantAdmin,), declared)(Membership, admin.site)


def test_a_filter_through_a_relation_cannot_be_declared() -> None:
    page: Any = type("Careless", (TenantAdmin,), {"list_filter": ("user__name",)})(Membership, admin.site)

    with pytest.raises(ImproperlyConfigured):
        page.get_list_filter(as_request(make_member(make_tenant())))


def test_foreign_key_choices_are_ones_own(ours: Tenant, stranger: User) -> None:
    class Form(TenantAdmin):
        add_right = Right.MEMBERS_CHANGE

    owner, colleague = make_member(ours), make_member(ours, Role.AUDITOR)
    labs = make_tenant("Contoso Labs")
    make_member(labs, Role.ADMIN, user=owner)
    form = Form(Membership, admin.site).get_form(as_request(owner), fields=("tenant", "user"))

    assert set(form.base_fields["tenant"].queryset) == {ours}  # not where one may only look
    assert set(form.base_fields["user"].queryset) == {owner, colleague}


def test_stock_deletion_and_log_are_off(ours: Tenant) -> None:
    page = TenantAdmin(Membership, admin.site)
    owner = make_member(ours)

    assert "delete_selected" not in page.get_actions(as_request(owner))
    with pytest.raises(NotImplementedError):
        page.delete_model(as_request(owner), Membership.objects.get())
    assert not page.has_delete_permission(as_request(owner), Membership.objects.get())
    assert page.view_on_site is False


def test_changing_a_member_writes_the_audit_chain_and_not_djangos_log(ours: Tenant) -> None:
    from audit.models import AuditEvent

    owner, colleague = make_member(ours), make_member(ours, Role.AUDITOR)

    answer = signed_in(owner).post(change_url(colleague), {"role": "operator", "may_read_mail": "on"})

    assert answer.status_code == 302
    row = Membership.objects.get(user=colleague)
    assert (row.role, row.may_read_mail) == (Role.OPERATOR, True)
    assert AuditEvent.objects.get().action == "member.changed"
    assert not LogEntry.objects.exists()


def test_the_last_owner_cannot_be_removed_and_the_page_says_why(ours: Tenant) -> None:
    owner = make_member(ours)
    client = signed_in(owner)
    pk = Membership.objects.get().pk

    removed = client.post(reverse("admin:accounts_membership_delete", args=[pk]), {"post": "yes"}, follow=True)
    demoted = client.post(change_url(owner), {"role": "auditor"}, follow=True)

    for page in (removed, demoted):
        assert "is the only owner of Contoso" in page.content.decode()
    assert Membership.objects.get().role == Role.OWNER


def test_removing_a_member_asks_first(ours: Tenant) -> None:
    owner, colleague = make_member(ours), make_member(ours, Role.AUDITOR)
    client: Client = signed_in(owner)
    url = reverse("admin:accounts_membership_delete", args=[Membership.objects.get(user=colleague).pk])

    assert client.get(url).status_code == 200
    assert Membership.objects.filter(user=colleague).exists()
    client.post(url, {"post": "yes"})

    assert not Membership.objects.filter(user=colleague).exists()
    assert User.objects.filter(pk=colleague.pk).exists()


def test_somebody_new_gets_a_link_that_is_shown_once(ours: Tenant) -> None:
    client = signed_in(make_member(ours))
    data = {"tenant": str(ours.pk), "email": "new@example.org", "name": "New", "role": "operator"}

    page = client.post(reverse("admin:accounts_membership_add"), data)

    assert "/accounts/password/reset/key/" in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert "key" not in str(dict(client.session))
    again = client.post(reverse("admin:accounts_membership_add"), data).content.decode()
    assert "is a member of Contoso already" in again
    assert "/accounts/password/reset/key/" not in again


def test_somebody_whom_another_organisation_made_is_refused_in_words(ours: Tenant, stranger: User) -> None:
    data = {"tenant": str(ours.pk), "email": stranger.email, "role": "operator"}

    page = signed_in(make_member(ours)).post(reverse("admin:accounts_membership_add"), data, follow=True)

    assert "/accounts/password/reset/key/" not in page.content.decode()
    assert "another organisation made" in page.content.decode()
    assert not Membership.objects.filter(user=stranger, tenant=ours).exists()


def test_nobody_is_added_to_a_tenant_that_one_only_belongs_to(ours: Tenant) -> None:
    owner = make_member(ours)
    labs = make_tenant("Contoso Labs")
    make_member(labs, Role.ADMIN, user=owner)

    page = signed_in(owner).post(
        reverse("admin:accounts_membership_add"), {"tenant": str(labs.pk), "email": "new@example.org", "role": "owner"}
    )

    assert page.status_code == 200
    assert page.context["form"].errors["tenant"]
    assert not User.objects.filter(email="new@example.org").exists()


def test_an_operator_of_the_platform_makes_an_organisation(ours: Tenant) -> None:
    client = signed_in(make_user(is_superuser=True))

    page = client.post(reverse("admin:accounts_tenant_add"), {"name": "Northwind", "owner": "olga@northwind.example"})

    assert "/accounts/password/reset/key/" in page.content.decode()
    assert Membership.objects.get(tenant__slug="northwind").role == Role.OWNER


def test_an_owner_renames_their_organisation_and_makes_none(ours: Tenant) -> None:
    client = signed_in(make_member(ours))

    client.post(reverse("admin:accounts_tenant_change", args=[ours.pk]), {"name": "Contoso Group"})

    ours.refresh_from_db()
    assert (ours.name, ours.slug) == ("Contoso Group", "contoso")
    assert client.get(reverse("admin:accounts_tenant_add")).status_code == 404


def test_autocomplete_offers_only_ones_own(ours: Tenant, stranger: User) -> None:
    query = {"app_label": "accounts", "model_name": "membership", "field_name": "tenant", "term": ""}

    answer = signed_in(make_member(ours)).get(reverse("admin:autocomplete"), query)

    assert [each["text"] for each in answer.json()["results"]] == ["Contoso"]
    assert signed_in(make_member(ours, Role.AUDITOR)).get(reverse("admin:autocomplete"), query).status_code == 403
