"""What the admin site shows: our models alone, each behind the tenant's door."""

from __future__ import annotations

from django.apps import apps
from django.contrib import admin

from accounts.admin import TenantAdmin

ALLOWED = {
    "accounts.apikey",
    "accounts.invitation",
    "accounts.membership",
    "accounts.tenant",
    "audit.auditevent",
    "mailboxes.connectlink",
    "mailboxes.folder",
    "mailboxes.mailbox",
    "mailboxes.message",
    "mailboxes.outboxmessage",
    "mailboxes.providerapp",
    "mailboxes.signin",
    "mailboxes.syncrun",
    "mailboxes.token",
}
# The chain has no foreign key to tenants: its page scopes rows by `tenant_id`, in a class of its own.
OWN_SCOPE = {"audit.auditevent"}


def test_only_our_models_are_on_the_site() -> None:
    shown = {model._meta.label_lower for model in admin.site._registry}

    assert shown <= ALLOWED
    assert {"accounts.membership", "accounts.tenant"} <= shown


def test_third_parties_models_stay_off_the_site() -> None:
    third_parties = [
        model for model in apps.get_models() if model._meta.app_label not in {"accounts", "audit", "mailboxes"}
    ]

    assert {"mfa", "account", "socialaccount", "auth"} <= {model._meta.app_label for model in third_parties}
    assert not [model for model in third_parties if admin.site.is_registered(model)]


def test_every_page_derives_its_permissions_from_the_table_of_roles() -> None:
    for model, page in admin.site._registry.items():
        if model._meta.label_lower in OWN_SCOPE:
            continue
        assert isinstance(page, TenantAdmin), page
        for name in ("has_view_permission", "has_change_permission", "has_delete_permission", "get_queryset"):
            defined_by = next(each for each in type(page).__mro__ if name in vars(each))
            assert defined_by.__module__.split(".")[0] in {"accounts", "mailboxes", "mailhub"}, (page, name)
