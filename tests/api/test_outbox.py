from __future__ import annotations

import base64
import threading
from typing import Any

import pytest
from django.db import connection

from mailboxes.models import Body, OutboxMessage, SendAttempt
from mailboxes.services import bodies
from tests.api.house import House, Program, make_house

pytestmark = pytest.mark.both_databases
FIELDS = {"id", "state", "attempts", "message_id", "sent_at"}
DRAFT: dict[str, Any] = {
    "to": ["Bob <bob@elsewhere.test>"],
    "cc": [],
    "bcc": ["carol@elsewhere.test"],
    "from": None,
    "reply_to": None,
    "in_reply_to": None,
    "send_at": None,
    "subject": "An order",
    "text": "5 boxes, für Öland\n",
    "html": "<p>5 boxes</p>",
    "headers": {"X-Order": "4711"},
    "attachments": [{"filename": "n.txt", "content_type": "text/plain", "base64": base64.b64encode(b"note").decode()}],
}


def path(house: House) -> str:
    return f"/mailboxes/{house.mailbox.pk}/outbox"


def test_a_message_is_queued_as_it_was_given(house: House, admin: Program) -> None:
    answer = admin.post(path(house), DRAFT, 202, Idempotency_Key="order-4711")

    assert set(answer) == {"id", "state"}
    assert answer["state"] == "queued"
    row = OutboxMessage.objects.get(pk=answer["id"])
    raw = bodies.read(row.body)
    assert b"X-Order: 4711" in raw and b"carol" not in raw and b"n.txt" in raw
    assert row.recipients == {"to": ["bob@elsewhere.test"], "cc": [], "bcc": ["carol@elsewhere.test"]}
    assert row.sender == house.mailbox.address
    shown = admin.get(f"/outbox/{answer['id']}")
    assert set(shown) == FIELDS
    assert (shown["message_id"], shown["attempts"], shown["sent_at"]) == (row.message_id, [], None)


def test_the_same_key_and_body_is_the_same_message(house: House, admin: Program) -> None:
    first = admin.post(path(house), DRAFT, 202, Idempotency_Key="k")
    again = admin.post(path(house), dict(reversed(DRAFT.items())), 202, Idempotency_Key="k")

    assert again["id"] == first["id"]
    assert OutboxMessage.objects.filter(idempotency_key="k").count() == 1


def test_the_same_key_with_another_body_is_a_conflict(house: House, admin: Program) -> None:
    admin.post(path(house), DRAFT, 202, Idempotency_Key="k")

    problem = admin.post(path(house), {**DRAFT, "subject": "Another"}, 409, Idempotency_Key="k")

    assert problem["code"] == "idempotency_conflict"
    assert OutboxMessage.objects.filter(idempotency_key="k").count() == 1


def test_without_a_key_each_request_is_a_message_of_its_own(house: House, admin: Program) -> None:
    assert admin.post(path(house), DRAFT, 202)["id"] != admin.post(path(house), DRAFT, 202)["id"]


@pytest.mark.django_db(transaction=True)
def test_two_at_once_with_one_key_make_one_message() -> None:
    house = make_house()
    admin = house.program()
    start, answers = threading.Barrier(4), []

    def send() -> None:
        start.wait(10)
        try:
            answers.append(admin.post(path(house), DRAFT, 202, Idempotency_Key="at once"))
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(answers) == 4
    assert {answer["id"] for answer in answers} == {str(OutboxMessage.objects.get(idempotency_key="at once").pk)}
    orphans = Body.objects.exclude(pk__in=OutboxMessage.objects.values("body")).exclude(messages__isnull=False)
    assert not orphans.exists()


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\tin it", "schlüssel"])
def test_a_key_is_plain_and_short(house: House, admin: Program, key: str) -> None:
    problem = admin.post(path(house), DRAFT, 422, Idempotency_Key=key)

    assert problem["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": [], "bcc": []}, "to"),
        ({"to": ["nobody"]}, "to"),
        ({"to": "bob@elsewhere.test"}, "to"),
        ({"from": "ceo@contoso.test"}, "from"),
        ({"subject": "one\r\nBcc: eve@elsewhere.test"}, "subject"),
        ({"headers": {"X-A": "1\r\nBcc: eve@elsewhere.test"}}, "headers"),
        ({"headers": {"Received": "x"}}, "headers"),
        ({"send_at": "2026-11-22T10:00:00"}, "send_at"),
        ({"send_at": "2099-01-01T00:00:00Z"}, "send_at"),
        ({"text": "a\0b"}, "text"),
        ({"text": "\ud800"}, "text"),
        ({"attachments": [{"filename": "a", "base64": "not base64!"}]}, "attachments.0.base64"),
        ({"attachments": [{"filename": "a\nb", "base64": ""}]}, "attachments"),
        ({"priority": 1}, "priority"),
    ],
)
def test_what_is_wrong_is_said_by_field(house: House, admin: Program, change: dict[str, Any], field: str) -> None:
    problem = admin.post(path(house), {**DRAFT, **change}, 422)

    assert problem["code"] == "invalid"
    assert [each["field"] for each in problem["errors"]] == [field]
    assert OutboxMessage.objects.count() == 1


def test_a_message_of_megabytes_goes_and_one_of_too_many_does_not(house: House, admin: Program) -> None:
    files = [{"filename": "a.bin", "base64": base64.b64encode(b"x" * 12_000_000).decode()}]
    admin.post(path(house), {**DRAFT, "attachments": files}, 202)

    for count in (2, 3):  # more than a message carries; more than is read at all
        assert admin.post(path(house), {**DRAFT, "attachments": files * count}, 413)["code"] == "too_large"


def test_a_message_is_cancelled_while_it_waits(house: House, admin: Program) -> None:
    waiting = admin.post(path(house), {**DRAFT, "send_at": "2026-12-24T18:00:00+01:00"}, 202)

    assert admin.post(f"/outbox/{waiting['id']}/cancel")["state"] == "cancelled"
    OutboxMessage.objects.filter(pk=waiting["id"]).update(state="sent")
    assert admin.post(f"/outbox/{waiting['id']}/cancel")["state"] == "sent"


@pytest.mark.parametrize("stage", SendAttempt.Stage.values)
def test_every_step_is_told_with_the_servers_own_words(house: House, admin: Program, stage: str) -> None:
    SendAttempt.objects.create(tenant=house.tenant, outbox=house.outbox, number=1, stage=stage, reply="250 fine")

    (attempt,) = admin.get(f"/outbox/{house.outbox.pk}")["attempts"]

    assert set(attempt) == {"at", "stage", "reply"}
    assert (attempt["stage"], attempt["reply"]) == (stage, "250 fine")


@pytest.mark.parametrize("state", OutboxMessage.State.values)
def test_every_state_can_be_told(house: House, admin: Program, state: str) -> None:
    OutboxMessage.objects.update(state=state)

    assert admin.get(f"/outbox/{house.outbox.pk}")["state"] == state


def test_a_disconnected_mailbox_takes_nothing(house: House, admin: Program) -> None:
    admin.post(f"/mailboxes/{house.mailbox.pk}/disconnect")

    assert admin.post(path(house), DRAFT, 422)["errors"][0]["field"] == "from"
