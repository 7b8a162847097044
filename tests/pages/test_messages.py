"""Reading mail is a right of its own; an opened message is audited, and what it holds can neither act nor phone home."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.roles import Role
from audit.models import AuditEvent
from mailboxes.models import Message
from tests.accounts.people import make_member, signed_in
from tests.pages.house import LETTER, House


@pytest.fixture
def reader(house: House) -> Client:
    return signed_in(make_member(house.tenant, Role.OPERATOR, reads=True))


def views(house: House) -> dict[str, str]:
    pk = house.message.pk
    return {
        "page": reverse("admin:mailboxes_message_change", args=[pk]),
        "body": reverse("admin:mailboxes_message_body", args=[pk]),
        "raw": reverse("admin:mailboxes_message_raw", args=[pk]),
        "attachment": reverse("admin:mailboxes_message_attachment", args=[pk, 0]),
        "list": reverse("admin:mailboxes_message_changelist"),
    }


def opened() -> list[str]:
    return list(
        AuditEvent.objects.filter(action__startswith="message.").order_by("seq").values_list("action", flat=True)
    )


@pytest.mark.parametrize("role", list(Role))
def test_without_the_right_to_read_mail_no_role_finds_a_message(house: House, role: Role) -> None:
    person = signed_in(make_member(house.tenant, role))

    assert {name: person.get(url).status_code for name, url in views(house).items()} == dict.fromkeys(views(house), 404)
    assert opened() == []


def test_without_the_right_to_read_mail_no_page_names_a_message(house: House) -> None:
    person = signed_in(make_member(house.tenant, Role.OWNER))

    for page in house.pages():
        answer = person.get(page)
        if answer.status_code == 200 and not answer.streaming:
            text = answer.content.decode()
            assert "Delivery dates" not in text and "/mailboxes/message/" not in text, page


def test_opening_a_message_stands_in_the_audit_log_once(house: House, reader: Client) -> None:
    page = reader.get(views(house)["page"]).content.decode()
    frame = page.partition('<iframe class="letter"')[2].partition('src="')[2].partition('"')[0].replace("&amp;", "&")
    assert reader.get(frame).status_code == 200

    assert opened() == ["message.opened"]
    event = AuditEvent.objects.get(action="message.opened")
    assert event.detail == {"message": str(house.message.pk)}
    assert "Delivery" not in event.object_label


def test_the_text_alone_is_audited_as_well(house: House, reader: Client) -> None:
    reader.get(views(house)["body"])
    reader.get(views(house)["body"] + "?seen=made-up")

    assert opened() == ["message.opened", "message.opened"]


def test_the_mark_of_another_persons_page_does_not_spare_the_audit(house: House, reader: Client) -> None:
    page = reader.get(views(house)["page"])
    other = signed_in(make_member(house.tenant, Role.ADMIN, reads=True))
    other.get(f"{views(house)['body']}?seen={page.context['seen']}")

    assert opened() == ["message.opened", "message.opened"]


def test_downloads_are_audited_and_never_shown_by_the_browser(house: House, reader: Client) -> None:
    raw, part = reader.get(views(house)["raw"]), reader.get(views(house)["attachment"])

    assert raw.content == LETTER and raw["Content-Type"] == "message/rfc822"
    assert part.content.strip() == b"<script>alert(2)</script>" and part["Content-Type"] == "application/octet-stream"
    for answer in (raw, part):
        assert answer["Content-Disposition"].startswith("attachment")
        assert answer["X-Content-Type-Options"] == "nosniff" and "sandbox" in answer["Content-Security-Policy"]
    assert opened() == ["message.exported", "message.exported"]


def test_the_letter_has_a_policy_of_its_own_and_nothing_that_acts(house: House, reader: Client) -> None:
    answer = reader.get(views(house)["body"])
    text, policy = answer.content.decode(), answer["Content-Security-Policy"]

    assert "default-src 'none'" in policy and "sandbox allow-popups" in policy and "frame-ancestors 'self'" in policy
    assert "script" not in policy and "img-src" not in policy and "allow-scripts" not in policy
    assert answer["X-Frame-Options"] == "SAMEORIGIN" and answer["Referrer-Policy"] == "no-referrer"
    assert "<b>Anna</b>" in text
    for acting in ("<script", "alert(", "<img", "spy.example", "onclick", "evil"):
        assert acting not in text


def test_the_page_says_what_was_left_out_and_holds_no_part_of_the_letter_itself(house: House, reader: Client) -> None:
    text = reader.get(views(house)["page"]).content.decode()

    assert "Pictures and remote content are left out" in text
    assert "spy.example" not in text and "alert(" not in text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in text


def test_a_message_of_which_only_headers_are_kept_says_so(house: House, reader: Client) -> None:
    Message.objects.filter(pk=house.message.pk).update(body=None)

    assert "Only the headers are kept" in reader.get(views(house)["page"]).content.decode()
    assert {reader.get(views(house)[name]).status_code for name in ("body", "raw", "attachment")} == {404}


def test_a_damaged_body_says_who_can_fix_it(house: House, reader: Client) -> None:
    body = house.message.body
    assert body is not None
    type(body).objects.filter(pk=body.pk).update(sha256="0" * 64)

    text = reader.get(views(house)["page"]).content.decode()

    assert "The text cannot be shown." in text and "The operator of this Mailhub can fix it" in text


def test_an_attachment_that_is_not_there_is_404(house: House, reader: Client) -> None:
    assert reader.get(reverse("admin:mailboxes_message_attachment", args=[house.message.pk, 7])).status_code == 404


def test_the_list_finds_by_subject_and_address_without_regard_to_case(house: House, reader: Client) -> None:
    for query, hits in (("DELIVERY", 1), ("tove@", 1), ("nothing", 0)):
        answer = reader.get(views(house)["list"], {"q": query})
        assert answer.context["cl"].result_count == hits, query
