from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.ids import new_id
from accounts.models import Tenant
from mailboxes.models import Folder, Mailbox, Message, Token
from mailboxes.services.insert_rows import insert
from tests.sync.mail import connected_mailbox

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
IMAP = {"host": "imap.example.org", "port": 993, "security": "tls"}
NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def folder() -> Folder:
    mailbox = connected_mailbox(imap=IMAP)
    return Folder.objects.create(tenant=mailbox.tenant, mailbox=mailbox, name="INBOX")


def row(folder: Folder, uid: int = 1, **columns: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "tenant_id": folder.tenant_id,
        "mailbox_id": folder.mailbox_id,
        "folder_id": folder.pk,
        "uidvalidity": 2**32 - 1,
        "uid": uid,
        "uidl": "",
        "message_id": "<1@example.org>",
        "in_reply_to": "",
        "subject": "100 % “quoted” \\ 'single' ü 😀",
        "sender": [{"name": 'A "B"', "address": "a@example.org"}],
        "to": [],
        "cc": [{"name": "ü", "address": ""}],
        "search_text": "text",
        "date": NOW,
        "internal_date": None,
        "size": 2**31 - 1,
        "flags": ["\\Seen", "$odd"],
        "has_attachments": True,
        "sha256": "0" * 64,
        "emailid": "",
        "mailhub_id": "",
        "body_id": None,
        "unreadable": "",
        "stored_at": NOW,
        "gone_at": None,
    } | columns


def test_a_row_reads_as_if_its_model_had_written_it(folder: Folder) -> None:
    columns = row(folder)
    with transaction.atomic():
        insert(Message, folder.tenant_id, [columns, row(folder, 2, internal_date=NOW, has_attachments=False)])

    read = Message.objects.get(uid=1)
    assert {name: getattr(read, name) for name in columns} == columns
    assert Message.objects.get(uid=2).internal_date == NOW
    read.save()
    again = Message.objects.get(pk=read.pk)
    assert {name: getattr(again, name) for name in columns} == columns
    assert Message.objects.get(subject=columns["subject"], flags=columns["flags"], has_attachments=True) == read


@pytest.mark.parametrize("change", ["lacks", "too many"])
def test_a_row_with_other_columns_is_refused_and_nothing_stored(change: str, folder: Folder) -> None:
    odd = row(folder, 2)
    if change == "lacks":
        del odd["gone_at"]
    else:
        odd["mailbox"] = folder.mailbox

    with pytest.raises(ValueError, match="gone_at" if change == "lacks" else "mailbox"), transaction.atomic():
        insert(Message, folder.tenant_id, [row(folder), odd])

    assert not Message.objects.exists()


def test_rows_of_two_tenants_are_refused(folder: Folder) -> None:
    other = Tenant.objects.create(name="Other", slug="other")

    with pytest.raises(ValueError, match="another tenant"), transaction.atomic():
        insert(Message, folder.tenant_id, [row(folder), row(folder, 2, tenant_id=other.pk)])

    assert not Message.objects.exists()


def test_one_row_that_the_database_refuses_stores_none(folder: Folder) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(Message, folder.tenant_id, [row(folder), row(folder, 2), row(folder, 2)])

    assert not Message.objects.exists()


def test_columns_that_are_sealed_are_not_written_this_way() -> None:
    mailbox = connected_mailbox(imap=IMAP)

    for model in (Token, Mailbox):
        with pytest.raises(TypeError, match="not written without its model"), transaction.atomic():
            insert(model, mailbox.tenant_id, [{"tenant_id": mailbox.tenant_id}])


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_nothing_is_inserted(folder: Folder) -> None:
    with pytest.raises(RuntimeError):
        insert(Message, folder.tenant_id, [row(folder)])

    assert not Message.objects.exists()


def test_no_rows_are_no_statement(folder: Folder) -> None:
    with transaction.atomic():
        insert(Message, folder.tenant_id, [])
