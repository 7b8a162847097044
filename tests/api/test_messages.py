from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from accounts.roles import Role
from audit.models import AuditEvent
from mailboxes.models import Body, Folder, Message
from tests.api.house import LETTER, House, Program, make_message

pytestmark = pytest.mark.both_databases
FIELDS = {"id", "folder", "uid", "message_id", "subject", "from", "to", "date", "size", "flags", "sha256"}


def test_a_list_shows_exactly_the_fields_of_the_contract(house: House, admin: Program) -> None:
    answer = admin.get(f"/mailboxes/{house.mailbox.pk}/messages")

    (message,) = answer["items"]
    assert set(message) == FIELDS
    assert answer["next"] is None
    assert message["uid"] == "1"
    assert message["folder"] == str(house.folder.pk)
    assert message["from"] == [{"name": "Zoe", "address": "zoe@elsewhere.test"}]
    assert message["subject"] == "The quarterly grün figures"
    assert message["date"] == "2026-11-20T09:00:00Z"
    assert (message["size"], message["sha256"]) == (len(LETTER), hashlib.sha256(LETTER).hexdigest())


def test_raw_is_the_very_bytes(house: House, admin: Program) -> None:
    answer = admin("GET", f"/messages/{house.message.pk}/raw")

    assert answer.content == LETTER
    assert answer["Content-Type"] == "message/rfc822"
    assert answer["Cache-Control"] == "no-store"


def test_a_message_is_opened_with_its_text_and_its_files(house: House, admin: Program) -> None:
    message = admin.get(f"/messages/{house.message.pk}")

    assert set(message) > FIELDS
    assert message["text"] == "See inside."
    (file,) = message["attachments"]
    assert (file["n"], file["filename"], file["content_type"]) == (0, "figures.csv", "text/csv")
    downloaded = admin("GET", f"/messages/{house.message.pk}/attachments/{file['n']}")
    assert downloaded.content == b"1,2"
    assert downloaded["Content-Type"] == "application/octet-stream"
    assert 'attachment; filename="figures.csv"' in downloaded["Content-Disposition"]
    assert admin.get(f"/messages/{house.message.pk}/attachments/1", 404)["code"] == "not_found"


def test_every_opening_is_in_the_audit_log_without_the_subject(house: House, admin: Program) -> None:
    for path in ("", "/raw", "/attachments/0"):
        admin("GET", f"/messages/{house.message.pk}{path}")

    events = AuditEvent.objects.filter(action__startswith="message.").order_by("seq")
    assert [event.action for event in events] == ["message.opened", "message.exported", "message.exported"]
    assert {event.actor_kind for event in events} == {"key"}
    assert {event.actor_id for event in events} == {str(house.row().pk)}
    assert "quarterly" not in str([(event.object_label, event.detail) for event in events])


def test_mail_is_read_only_with_the_right_to_read_it(house: House) -> None:
    admin = house.program(Role.ADMIN)

    for path in (
        f"/mailboxes/{house.mailbox.pk}/messages",
        f"/messages/{house.message.pk}",
        f"/messages/{house.message.pk}/raw",
        f"/messages/{house.message.pk}/attachments/0",
    ):
        assert admin.get(path, 403)["code"] == "role"
    assert not AuditEvent.objects.filter(action__startswith="message.").exists()


def test_search_looks_in_subject_and_addresses_for_every_word(house: House, admin: Program) -> None:
    make_message(house.folder, 2, b"From: Bob <bob@elsewhere.test>\r\nSubject: Lunch 100%\r\n\r\nx")
    path = f"/mailboxes/{house.mailbox.pk}/messages?q="

    def subjects(q: str) -> list[str]:
        return [each["subject"] for each in admin.get(path + q)["items"]]

    assert subjects("GR%C3%9CN%20zoe@") == ["The quarterly grün figures"]
    assert subjects("bob") == ["Lunch 100%"]
    assert subjects("100%25") == ["Lunch 100%"]
    assert subjects("%25") == ["Lunch 100%"]
    assert subjects("bob%20zoe") == []
    assert admin.get(path + "%00", 422)["errors"][0]["field"] == "q"


def test_a_folder_narrows_the_list_and_must_be_of_the_mailbox(house: House, admin: Program, stranger: Program) -> None:
    other = Folder.objects.create(tenant=house.tenant, mailbox=house.mailbox, name="Archive", uidvalidity=9)
    make_message(other, 5)
    path = f"/mailboxes/{house.mailbox.pk}/messages?folder="

    assert [each["uid"] for each in admin.get(f"{path}{other.pk}")["items"]] == ["5"]
    foreign = Folder.objects.exclude(tenant=house.tenant).get()
    assert admin.get(f"{path}{foreign.pk}", 404)["code"] == "not_found"


def test_what_is_gone_at_the_server_is_not_listed_but_can_be_opened(house: House, admin: Program) -> None:
    Message.objects.update(gone_at=house.message.date)

    assert admin.get(f"/mailboxes/{house.mailbox.pk}/messages")["items"] == []
    assert admin.get(f"/messages/{house.message.pk}")["gone_at"] == "2026-11-20T09:00:00Z"


def test_a_pop3_message_shows_its_uidl(house: House, admin: Program) -> None:
    Message.objects.update(uid=None, uidl="0000x41")

    assert admin.get(f"/messages/{house.message.pk}")["uid"] == "0000x41"


def test_pages_hold_every_message_once_in_order_while_new_ones_arrive(house: House, admin: Program) -> None:
    for number in range(2, 8):  # four of one date, so that the order hangs on the id
        date = house.message.date - timedelta(days=number // 4)
        make_message(house.folder, number, body=house.message.body, date=date)
    wanted = [str(pk) for pk in Message.objects.order_by("-date", "-id").values_list("pk", flat=True)]
    seen, path = [], f"/mailboxes/{house.mailbox.pk}/messages?limit=3"

    answer = admin.get(path)
    while True:
        seen += [each["id"] for each in answer["items"]]
        if answer["next"] is None:
            break
        make_message(house.folder, 100 + len(seen), body=house.message.body)
        answer = admin.get(f"{path}&after={answer['next']}")

    assert seen == wanted


def test_headers_alone_have_no_raw_message(house: House, admin: Program) -> None:
    Message.objects.update(body=None)

    assert admin.get(f"/messages/{house.message.pk}")["left_out"]
    assert admin.get(f"/messages/{house.message.pk}/raw", 404)["code"] == "not_found"


def test_damaged_bytes_are_never_answered_in_part(house: House, admin: Program) -> None:
    Body.objects.filter(pk=house.message.body_id).update(sha256="0" * 64)

    problem: dict[str, Any] = admin.get(f"/messages/{house.message.pk}/raw", 500)

    assert problem["code"] == "internal"
    assert "not those that were received" in problem["detail"]
