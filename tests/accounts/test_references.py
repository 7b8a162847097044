"""A row never points to another tenant's row, however it is written. Mailboxes and folders are the example."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts.models import Tenant
from accounts.references import CrossTenantReference
from mailboxes.models import Folder, Mailbox, ProviderApp
from tests.accounts.people import make_tenant

pytestmark = pytest.mark.django_db


def make_mailbox(tenant: Tenant) -> Mailbox:
    app = ProviderApp.objects.create(tenant=tenant, name="App")
    return Mailbox.objects.create(tenant=tenant, provider_app=app, address="anna@example.org")


@pytest.fixture
def ours() -> Mailbox:
    return make_mailbox(make_tenant())


@pytest.fixture
def theirs() -> Mailbox:
    return make_mailbox(make_tenant("Fabrikam"))


def test_saving_refuses_another_tenants_row_loaded_or_by_id(ours: Mailbox, theirs: Mailbox) -> None:
    for reference in ({"mailbox": theirs}, {"mailbox_id": theirs.pk}):
        with pytest.raises(CrossTenantReference):
            Folder.objects.create(tenant=ours.tenant, name="INBOX", **reference)
    assert Folder.objects.create(tenant=ours.tenant, name="INBOX", mailbox=ours).pk


def test_a_stored_row_is_checked_when_its_reference_changes(ours: Mailbox, theirs: Mailbox) -> None:
    Folder.objects.create(tenant=ours.tenant, name="INBOX", mailbox=ours)
    folder = Folder.objects.get()

    folder.mailbox_id = theirs.pk

    with pytest.raises(CrossTenantReference):
        folder.save()
    with pytest.raises(ValidationError, match="another organisation"):
        folder.clean()


def test_a_row_never_changes_its_tenant(ours: Mailbox, theirs: Mailbox) -> None:
    folder = Folder.objects.create(tenant=ours.tenant, name="INBOX", mailbox=ours)
    for row in (folder, Folder.objects.get()):
        row.tenant, row.mailbox = theirs.tenant, theirs
        with pytest.raises(CrossTenantReference):
            row.save()
    with pytest.raises(CrossTenantReference):
        Folder.objects.update(tenant=theirs.tenant)


def test_unchanged_references_cost_no_query(ours: Mailbox, django_assert_num_queries: Any) -> None:
    Folder.objects.create(tenant=ours.tenant, name="INBOX", mailbox=ours)
    folder = Folder.objects.get()

    with django_assert_num_queries(1):
        folder.save(update_fields=["name"])


def test_deferred_references_are_not_fetched(ours: Mailbox, django_assert_num_queries: Any) -> None:
    Folder.objects.create(tenant=ours.tenant, name="INBOX", mailbox=ours)
    folder = Folder.objects.only("name").get()

    with django_assert_num_queries(1):
        folder.save(update_fields=["name"])


def test_bulk_writes_are_checked_too(ours: Mailbox, theirs: Mailbox) -> None:
    folder = Folder.objects.create(tenant=ours.tenant, name="INBOX", mailbox=ours)

    with pytest.raises(CrossTenantReference):
        Folder.objects.bulk_create([Folder(tenant=ours.tenant, name="Sent", mailbox_id=theirs.pk)])
    with pytest.raises(CrossTenantReference):
        Folder.objects.update(mailbox=theirs)
    with pytest.raises(CrossTenantReference):
        ours.folders.update(mailbox_id=theirs.pk)
    with pytest.raises(CrossTenantReference):
        Folder.objects.bulk_update([folder], ["mailbox"])


def test_a_bulk_write_costs_one_query_a_reference(ours: Mailbox, django_assert_num_queries: Any) -> None:
    rows = [Folder(tenant=ours.tenant, name=f"Folder {n}", mailbox_id=ours.pk) for n in range(20)]

    with django_assert_num_queries(2):
        Folder.objects.bulk_create(rows)


def test_a_reference_to_nothing_is_refused(ours: Mailbox) -> None:
    with pytest.raises(CrossTenantReference):
        Folder.objects.create(tenant=ours.tenant, name="INBOX", mailbox_id=make_tenant("Nobody").pk)


def test_ids_may_be_text(ours: Mailbox) -> None:
    row = Folder(tenant_id=str(ours.tenant_id), name="INBOX", mailbox_id=str(ours.pk))

    row.save()

    assert Folder.objects.get().mailbox == ours
