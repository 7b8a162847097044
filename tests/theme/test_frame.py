"""The frame of every page of the administration: navigation, switcher, doors of the site."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.test import RequestFactory
from django.urls import NoReverseMatch, reverse

from accounts.models import Tenant, User
from accounts.roles import Role
from mailhub import navigation
from mailhub.navigation import Listing, Page
from mailhub.site import MailhubSite
from tests.accounts.people import PASSWORD, browser, make_member, make_tenant, make_user, signed_in
from tests.theme.test_templates import BLOCKED

pytestmark = pytest.mark.django_db


def page_of(user: User, path: str = "admin:accounts_membership_changelist") -> str:
    return signed_in(user).get(reverse(path)).content.decode()


def test_the_sidebar_marks_where_one_is() -> None:
    html = page_of(make_member(make_tenant()))

    assert f'<a href="{reverse("admin:accounts_membership_changelist")}" aria-current="page">' in html
    assert html.count('aria-current="page"') == 1
    assert "<h1>People</h1>" in html
    assert "<title>People · Mailhub</title>" in html


def test_an_entry_without_a_page_or_without_the_right_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    site = MailhubSite()
    site._registry = {
        Tenant: SimpleNamespace(has_view_permission=lambda _request: True),  # type: ignore[dict-item]
        User: SimpleNamespace(has_view_permission=lambda _request: False),  # type: ignore[dict-item]
    }
    pages: list[Page | Listing] = [
        Page("Overview", "home", "dashboard", navigation.everyone),
        Page("Nowhere", "pulse", "no_such_page", navigation.everyone),
        Page("Operations", "pulse", "dashboard", navigation.platform_operator),
        Listing("Organisations", "building", "accounts.tenant"),
        Listing("People", "users", "accounts.user"),
        Listing("Letters", "mail", "mailboxes.letter"),
    ]
    monkeypatch.setattr(navigation, "NAVIGATION", [("", pages), ("Empty", pages[1:2])])
    request = RequestFactory().get("/")
    request.user = make_user()

    groups = navigation.build(site, request)

    assert [(group, [entry.word for entry in entries]) for group, entries in groups] == [
        ("", ["Overview", "Organisations"])
    ]
    assert [entry.current for entry in groups[0][1]] == [True, False]


def test_operations_are_for_platform_operators() -> None:
    assert navigation.platform_operator(make_user(is_superuser=True))
    assert not navigation.platform_operator(make_member(make_tenant(), Role.OWNER))


def test_the_switcher_offers_only_the_organisations_of_the_person() -> None:
    contoso, nordwind, stranger = make_tenant("Contoso"), make_tenant("Nordwind"), make_tenant("Stranger")
    user = make_member(nordwind, user=make_member(contoso))

    html = page_of(user)

    assert f"?tenant={contoso.slug}" in html
    assert f"?tenant={nordwind.slug}" in html
    assert stranger.slug not in html


def test_who_belongs_to_one_organisation_sees_its_name_and_no_switcher() -> None:
    html = page_of(make_member(make_tenant("Contoso")))

    assert '<span class="tenant clip">Contoso</span>' in html
    assert "?tenant=" not in html


def test_signing_out_is_a_post() -> None:
    html = page_of(make_member(make_tenant()))

    assert f'<form method="post" action="{reverse("account_logout")}">' in html


def test_a_name_with_markup_is_shown_as_text() -> None:
    html = page_of(make_member(make_tenant("<b>Contoso</b>"), user=make_user(name="<i>Mira</i>")))

    assert "<b>Contoso</b>" not in html
    assert "<i>Mira</i>" not in html


def test_models_of_others_are_not_taken() -> None:
    site = MailhubSite()

    site.register([Group, Tenant])

    assert list(site._registry) == [Tenant]


def test_bulk_deletion_that_goes_round_the_services_is_off() -> None:
    assert "delete_selected" not in dict(admin.site.actions)


@pytest.mark.parametrize("name", ["password_change", "password_change_done"])
def test_doors_of_the_stock_admin_are_closed(name: str) -> None:
    with pytest.raises(NoReverseMatch):
        reverse(f"admin:{name}")


def test_no_row_is_looked_up_by_its_bare_id() -> None:
    with pytest.raises(NoReverseMatch):
        reverse("admin:view_on_site", args=[1, 1])


@pytest.mark.parametrize(("target", "kept"), [("/admin/x/", "/admin/x/"), ("https://evil.example/", "/")])
def test_signing_in_leads_to_allauth_and_back_to_this_site_alone(target: str, kept: str) -> None:
    request = RequestFactory().get("/admin/login/", {"next": target}, headers={"host": "localhost"})
    request.user = SimpleNamespace(is_authenticated=False)  # type: ignore[assignment]

    response = admin.site.login(request)

    assert response["Location"] == reverse("account_login", query={"next": kept})


def test_whoever_is_in_but_belongs_nowhere_is_told_so_instead_of_sent_round() -> None:
    request = RequestFactory().get("/admin/login/")
    request.user = make_user()

    with pytest.raises(PermissionDenied):
        admin.site.login(request)


def test_the_sign_in_page_is_an_ordinary_form_in_our_look() -> None:
    html = browser().get(reverse("account_login")).content.decode()

    assert '<input type="email" name="login"' in html
    assert '<input type="password" name="password"' in html
    assert "mailhub/public.css" in html
    assert "admin/css" not in html


ALLAUTH_PAGES = (
    "mfa_index",
    "mfa_list_webauthn",
    "mfa_add_webauthn",
    "mfa_deactivate_totp",
    "mfa_generate_recovery_codes",
    "account_change_password",
    "account_logout",
    "account_reauthenticate",
    "mfa_reauthenticate",
    "account_inactive",
)


@pytest.mark.parametrize("name", ALLAUTH_PAGES)
def test_pages_of_allauth_have_our_look_and_nothing_inline(name: str) -> None:
    client = signed_in(make_member(make_tenant()))
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})

    html = client.get(reverse(name)).content.decode()

    assert "mailhub/public.css" in html
    assert not any(pattern.search(html) for pattern in BLOCKED.values())
