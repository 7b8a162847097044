"""Write a message: pressed twice it goes out once; what is wrong is said beside its field, and what was typed stays."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.roles import Role
from mailboxes.models import Mailbox, OutboxMessage
from mailboxes.services import bodies
from tests.accounts.people import make_member, make_tenant, signed_in
from tests.pages.house import House

COMPOSE = "admin:mailboxes_outboxmessage_compose"


@pytest.fixture
def operator(house: House) -> Client:
    return signed_in(make_member(house.tenant, Role.OPERATOR))


def letter(house: House, **changed: Any) -> dict[str, Any]:
    return {
        "mailbox": str(house.mailbox.pk),
        "to": 'Bo <bo@example.com>, "Doe, Eve" <eve@example.com>',
        "cc": "",
        "bcc": "",
        "subject": "Hello",
        "text": "Good morning\r\n.\r\nAnna",
        "once": str(uuid4()),
    } | changed


def test_pressing_the_button_twice_sends_one_message(house: House, operator: Client) -> None:
    form = letter(house)

    first, second = operator.post(reverse(COMPOSE), form), operator.post(reverse(COMPOSE), form)

    row = OutboxMessage.objects.get(subject="Hello")
    page = reverse("admin:mailboxes_outboxmessage_change", args=[row.pk])
    assert (first.url, second.url) == (page, page)  # type: ignore[attr-defined]
    assert row.recipients["to"] == ["bo@example.com", "eve@example.com"]


def test_the_same_form_with_other_words_is_refused_in_words(house: House, operator: Client) -> None:
    form = letter(house)
    operator.post(reverse(COMPOSE), form)

    answer = operator.post(reverse(COMPOSE), form | {"subject": "Other words"})

    assert "This form was sent before" in answer.content.decode()
    assert OutboxMessage.objects.filter(subject__in=("Hello", "Other words")).count() == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"to": ""}, "to"),
        ({"to": "nobody at all"}, "to"),
        ({"cc": "bo@"}, "cc"),
        ({"mailbox": "nonsense"}, "mailbox"),
        ({"subject": "x" * 999}, "subject"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    house: House, operator: Client, changed: dict[str, str], field: str
) -> None:
    before = OutboxMessage.objects.count()

    answer = operator.post(reverse(COMPOSE), letter(house) | changed)

    assert answer.status_code == 200 and field in answer.context["form"].errors
    text = answer.content.decode()
    assert "Good morning" in text and f'id="id_{field}_error"' in text
    assert OutboxMessage.objects.count() == before


def test_files_go_along(house: House, operator: Client) -> None:
    files = [SimpleUploadedFile("a.txt", b"one", "text/plain"), SimpleUploadedFile("b.txt", b"two", "text/plain")]

    answer = operator.post(reverse(COMPOSE), letter(house) | {"attachments": files})

    assert answer.status_code == 302, answer.context["form"].errors


def test_another_organisations_mailbox_is_no_sender(house: House, neighbour: House, operator: Client) -> None:
    answer = operator.post(reverse(COMPOSE), letter(house, mailbox=str(neighbour.mailbox.pk)))

    assert "mailbox" in answer.context["form"].errors
    assert not OutboxMessage.objects.filter(subject="Hello").exists()


def test_a_mailbox_that_waits_says_so_in_the_list_of_senders(house: House, operator: Client) -> None:
    Mailbox.objects.filter(pk=house.mailbox.pk).update(state="reconnect", reason="consent_revoked")

    assert "anna@contoso.example (Reconnect: leaves when it works again)" in (
        operator.get(reverse(COMPOSE)).content.decode()
    )


def test_without_a_mailbox_that_sends_the_page_says_what_to_do(db: None) -> None:
    person = signed_in(make_member(make_tenant("New"), Role.OPERATOR))

    text = person.get(reverse(COMPOSE)).content.decode()

    assert "No mailbox can send yet." in text and "<form" in text and 'name="subject"' not in text


def test_an_uncertain_message_shows_both_sides_and_two_buttons(house: House, operator: Client) -> None:
    page = reverse("admin:mailboxes_outboxmessage_change", args=[house.uncertain.pk])
    text = operator.get(page).content.decode()

    assert "Mark as sent" in text and "Send again" in text and "absence proves nothing" in text

    answer = operator.post(reverse("admin:mailboxes_outboxmessage_confirm", args=[house.uncertain.pk]), follow=True)
    assert "Marked as sent." in answer.content.decode()
    late = operator.post(reverse("admin:mailboxes_outboxmessage_again", args=[house.uncertain.pk]), follow=True)
    assert "Nothing done: it has moved on in the meantime." in late.content.decode()


def test_a_queued_message_is_cancelled_once(house: House, operator: Client) -> None:
    url = reverse("admin:mailboxes_outboxmessage_cancel", args=[house.queued.pk])

    assert "Cancelled; it will not be sent." in operator.post(url, follow=True).content.decode()
    assert "Nothing done" in operator.post(url, follow=True).content.decode()


def test_a_reply_begins_with_whom_and_what_it_answers(house: House) -> None:
    reader = signed_in(make_member(house.tenant, Role.OPERATOR, reads=True))
    type(house.message).objects.filter(pk=house.message.pk).update(message_id="<plan@nordwind.example>")

    form = reader.get(reverse(COMPOSE), {"reply": str(house.message.pk)}).context["form"]

    assert form["to"].value() == "tove@nordwind.example" and form["subject"].value() == "Re: Delivery dates"
    sent = {name: form[name].value() for name in ("mailbox", "to", "subject", "in_reply_to", "once")}
    assert reader.post(reverse(COMPOSE), sent | {"text": "Thank you."}).status_code == 302
    row = OutboxMessage.objects.get(subject="Re: Delivery dates")
    assert b"In-Reply-To: <plan@nordwind.example>" in bodies.read(row.body)


def test_a_reply_tells_nothing_of_a_message_that_may_not_be_read(
    house: House, neighbour: House, operator: Client
) -> None:
    owner = signed_in(make_member(house.tenant, Role.OWNER, reads=True))

    for person, message in ((operator, house.message), (owner, neighbour.message)):
        form = person.get(reverse(COMPOSE), {"reply": str(message.pk)}).context["form"]
        assert not form["to"].value() and not form["subject"].value()
