"""The exact bytes of a draft: what a reader gets back is what was written, and nothing else can be slipped in."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailboxes.models import Mailbox
from mailboxes.services.addresses import split_list
from mailboxes.services.check_draft import GREATEST_MESSAGE, LONGEST_TEXT
from mailboxes.services.compose import Composed, compose, mailhub_id
from mailboxes.services.draft import Attachment, Draft, DraftRefused

NO_NUL = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=300)


def composed(**fields: Any) -> Composed:
    mailbox = Mailbox(address="anna@contoso.example", aliases=["sales@contoso.example"])
    return compose(Draft(**{"to": ["bob@example.org"], **fields}), mailbox, uuid4())


def parsed(**fields: Any) -> EmailMessage:
    message = message_from_bytes(composed(**fields).raw, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def refused(**fields: Any) -> dict[str, list[str]]:
    with pytest.raises(DraftRefused) as refusal:
        composed(**fields)
    return refusal.value.message_dict


def test_a_plain_message_has_every_header_once_and_its_text() -> None:
    outbox_id = uuid4()
    mailbox = Mailbox(address="anna@contoso.example")
    draft = Draft(to=["Bob Bauer <bob@example.org>"], cc=["c@example.org"], subject="Hello", text="Hi Bob\nAnna")

    made = compose(draft, mailbox, outbox_id)

    message = message_from_bytes(made.raw, policy=default)
    assert message["From"] == "anna@contoso.example"
    assert message["To"] == "Bob Bauer <bob@example.org>"
    assert message["Cc"] == "c@example.org"
    assert message["Subject"] == "Hello"
    assert message["Message-ID"] == made.message_id
    assert re.fullmatch(r"<[0-9a-f]{32}@contoso\.example>", made.message_id)
    assert message["X-Mailhub-ID"] == made.mailhub_id == mailhub_id(outbox_id)
    assert abs(message["Date"].datetime - datetime.now(UTC)) < timedelta(minutes=1)
    assert made.raw.endswith(b"\r\n\r\nHi Bob\r\nAnna\r\n")
    assert len(set(message.keys())) == len(message.keys())


def test_bcc_is_in_the_envelope_and_never_in_the_bytes() -> None:
    made = composed(to=[], bcc=["secret@example.org"])

    assert made.checked.envelope == ["secret@example.org"]
    assert b"secret" not in made.raw
    assert b"\r\nTo: undisclosed-recipients:;\r\n" in made.raw


def test_a_recipient_named_twice_is_in_the_envelope_once() -> None:
    assert composed(to=["bob@example.org"], cc=["BOB@example.org"]).checked.envelope == ["BOB@example.org"]


@settings(max_examples=150, deadline=None)
@given(subject=NO_NUL, name=NO_NUL.filter(lambda text: len(text) <= 200), text=NO_NUL)
def test_subject_names_and_text_come_back_as_they_were_written(subject: str, name: str, text: str) -> None:
    subject, name = subject.strip(), name.strip().replace('"', "").replace("\\", "").replace("<", "").replace(">", "")

    made = composed(to=[f"{name} <bob@example.org>"], subject=subject, text=text)
    message = message_from_bytes(made.raw, policy=default)

    assert isinstance(message, EmailMessage)
    assert (message["Subject"] or "") == subject
    assert message["To"].addresses[0].addr_spec == "bob@example.org"
    # The parser of email.policy leaves spaces between encoded-words of a name (RFC 2047, 6.2 drops them): the older one.
    shown = str(
        make_header(decode_header(message_from_bytes(made.raw)["To"].rpartition("bob@")[0].rstrip(" <").strip('"')))
    )
    assert shown.split() == name.split()
    assert message.get_content().rstrip("\r\n") == text.rstrip("\r\n")
    assert max(map(len, made.raw.split(b"\r\n"))) <= 998


def test_a_subject_that_looks_encoded_stays_what_it_is() -> None:
    assert parsed(subject="=?utf-8?q?Bcc=3A?= x")["Subject"] == "=?utf-8?q?Bcc=3A?= x"


def test_long_message_ids_and_urls_are_never_broken() -> None:
    long_id, url = f"<{'a' * 300}@example.org>", f"<https://example.org/{'u' * 200}>"

    raw = composed(in_reply_to=long_id, headers={"List-Unsubscribe": url, "References": f"<x@y.z> {long_id}"}).raw

    assert f"In-Reply-To: {long_id}\r\n".encode() in raw
    assert f"References: <x@y.z>\r\n {long_id}\r\n".encode() in raw
    assert url.encode() in raw


def test_an_answer_refers_to_what_it_answers() -> None:
    assert b"\r\nReferences: <q@example.org>\r\n" in composed(in_reply_to="<q@example.org>").raw


def test_text_html_and_attachments_lie_in_the_usual_order() -> None:
    files = [
        Attachment("Bericht für März.pdf", "application/pdf", bytes(range(256)) * 40),
        Attachment("old.eml", "message/rfc822", b"From: x\r\n\r\nbare \n line"),
        Attachment(r"C:\temp\list.csv", "text/csv", b"a;b\n1;2\n"),
    ]

    message = parsed(text="Grüße", html="<p>Grüße</p>", attachments=files)

    assert message.get_content_type() == "multipart/mixed"
    alternative, *attached = message.iter_parts()
    assert alternative.get_content_type() == "multipart/alternative"
    assert message.get_body(("plain",)).get_content() == "Grüße\r\n"  # type: ignore[union-attr]
    assert message.get_body(("html",)).get_content() == "<p>Grüße</p>\r\n"  # type: ignore[union-attr]
    assert [part.get_filename() for part in attached] == ["Bericht für März.pdf", "old.eml", "list.csv"]
    assert [part.get_payload(decode=True) for part in attached] == [item.content for item in files]
    assert attached[1].get_content_type() == "application/octet-stream"


def test_html_alone_goes_out_as_html() -> None:
    assert parsed(html="<p>x</p>").get_content_type() == "text/html"


@pytest.mark.parametrize("text", ["", "a" * 5000, "x\r\ny\rz\n", ".\n..\nFrom me\n.", "é" * 3000, "\x0b\x0c\x85 "])
def test_any_text_becomes_seven_bits_with_whole_line_ends(text: str) -> None:
    raw = composed(text=text, html=text).raw

    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    "evil", ["x\r\nBcc: evil@example.org", "x\ny", "x\ry", "x\x00y", "x\u2028y", "x\x85y", "x\ud800y"]
)
def test_line_ends_and_control_characters_are_refused_in_every_header(evil: str) -> None:
    assert "control character" in refused(subject=evil)["subject"][0]
    assert "control character" in refused(to=[f"{evil} <bob@example.org>"])["to"][0]
    assert "control character" in refused(headers={"X-Note": evil})["headers"][0]
    assert refused(headers={evil: "x"})["headers"]
    assert refused(reply_to=f"{evil}@example.org")["reply_to"]
    assert refused(in_reply_to=f"<{evil}@example.org>")["in_reply_to"]
    assert refused(sender=f"{evil} <anna@contoso.example>")["sender"]
    assert refused(attachments=[Attachment(evil, "text/plain", b"")])["attachments"]
    assert refused(attachments=[Attachment("a", f"text/{evil}", b"")])["attachments"]


@pytest.mark.parametrize(
    "bad", ["", "bob", "bob@", "@example.org", "bob@example", "a b@example.org", "bob@exa mple.org", "bob@-x.org",
            "a..b@example.org", "bob>", "jürgen@example.org", "x" * 65 + "@example.org", "a@" + "b" * 64 + ".org",
            "a@b.org, c@d.org", "<bob@example.org> x", "bob@[127.0.0.1]", f"{'n' * 201} <bob@example.org>"]
)  # fmt: skip
def test_a_bad_address_is_refused_by_name(bad: str) -> None:
    said = refused(to=["good@example.org", bad])["to"]

    assert len(said) == 1
    assert bad[:20] in said[0]


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = refused(to=["bob", "eve"], subject="a\nb", reply_to="x", headers={"Received": "by me"})

    assert {field: len(words) for field, words in said.items()} == {"to": 2, "subject": 1, "reply_to": 1, "headers": 1}


def test_an_international_domain_goes_out_in_ascii() -> None:
    assert composed(to=["bob@bücher.example"]).checked.envelope == ["bob@xn--bcher-kva.example"]


def test_nobody_to_send_to_is_refused() -> None:
    assert refused(to=[]) == {"to": ["Name at least one recipient."]}


def test_the_sender_is_the_mailbox_or_one_of_its_aliases() -> None:
    assert parsed(sender="Anna <ANNA@contoso.example>")["From"].addresses[0].display_name == "Anna"
    assert parsed(sender="sales@contoso.example")["From"] == "sales@contoso.example"
    assert "may not send as boss@contoso.example" in refused(sender="boss@contoso.example")["sender"][0]


@pytest.mark.parametrize(
    "name", ["From", "Sender", "To", "Bcc", "Received", "DKIM-Signature", "Return-Path", "Message-ID", "Date", "Subject",
             "Content-Type", "MIME-Version", "Authentication-Results", "ARC-Seal", "X-Mailhub-ID", "X-Google-Original-From",
             "Resent-From", "In-Reply-To", "X Y", "", "X-:"]
)  # fmt: skip
def test_headers_that_others_answer_for_cannot_be_set(name: str) -> None:
    assert "headers" in refused(headers={name: "x"})


def test_harmless_headers_can_be_set_once() -> None:
    message = parsed(headers={"X-Ticket": "4711 ü", "Auto-Submitted": "auto-generated"})

    assert (message["X-Ticket"], message["Auto-Submitted"]) == ("4711 ü", "auto-generated")
    assert "twice" in refused(headers={"X-Ticket": "1", "x-ticket": "2"})["headers"][0]
    assert "twice" in refused(headers={"References": "<a@b.c>", "references": "<a@b.c>"})["headers"][0]


def test_what_is_too_large_is_refused_before_and_after_encoding() -> None:
    assert "MiB" in refused(attachments=[Attachment("a", "x/y", bytes(GREATEST_MESSAGE))])["attachments"][0]
    assert (
        "MiB" in refused(attachments=[Attachment("a", "x/y", bytes(GREATEST_MESSAGE * 3 // 4 - 50))])["attachments"][0]
    )
    assert "attach it" in refused(text="ü" * (LONGEST_TEXT + 1))["text"][0]


def test_a_later_time_is_the_date_of_the_message() -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)

    assert parsed(send_at=later)["Date"].datetime == later
    assert "time zone" in refused(send_at=later.replace(tzinfo=None))["send_at"][0]
    assert "year" in refused(send_at=later + timedelta(days=400))["send_at"][0]


def test_a_draft_that_differs_anywhere_has_another_fingerprint() -> None:
    base = Draft(to=["a@b.org"], subject="x", attachments=[Attachment("a", "b/c", b"1")])

    assert (
        base.fingerprint()
        == Draft(to=["a@b.org"], subject="x", attachments=[Attachment("a", "b/c", b"1")]).fingerprint()
    )
    assert (
        base.fingerprint()
        != Draft(to=["a@b.org"], subject="x", attachments=[Attachment("a", "b/c", b"2")]).fingerprint()
    )
    assert (
        base.fingerprint()
        != Draft(to=["a@b.org"], subject="y", attachments=[Attachment("a", "b/c", b"1")]).fingerprint()
    )


def test_a_line_of_addresses_is_parted_outside_of_quotes() -> None:
    typed = '"Bauer, Bob" <bob@example.org>, eve@example.org;\n c@example.org ,'

    assert split_list(typed) == ['"Bauer, Bob" <bob@example.org>', "eve@example.org", "c@example.org"]
