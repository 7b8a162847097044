from __future__ import annotations

import email
from datetime import UTC, datetime
from email.message import Message

import pytest

from sandbox.letters import Sample
from sandbox.samples import ALICE, BOB, CAROL, mailbox
from tests.servers.sandbox import Sandbox

TODAY = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def alice() -> list[Sample]:
    return list(mailbox(ALICE, TODAY))


def parsed(samples: list[Sample]) -> list[Message]:
    return [email.message_from_bytes(sample.raw) for sample in samples]


def test_the_same_day_gives_the_same_bytes(alice: list[Sample]) -> None:
    assert list(mailbox(ALICE, TODAY)) == alice


@pytest.mark.parametrize(("person", "least", "most"), [(ALICE, 110, 130), (BOB, 35, 45), (CAROL, 8, 14)])
def test_each_mailbox_has_its_size_and_nothing_from_the_future(person: str, least: int, most: int) -> None:
    found = list(mailbox(person, TODAY))

    assert least <= len(found) <= most
    assert all(sample.date <= TODAY for sample in found)
    assert all(sample.raw.count(b"\n") == sample.raw.count(b"\r\n") for sample in found)


def test_replies_name_the_messages_before_them(alice: list[Sample]) -> None:
    known = {message["Message-ID"] for message in parsed(alice)}
    replies = [message for message in parsed(alice) if message["In-Reply-To"]]

    assert len(replies) > 20
    assert {reply["In-Reply-To"] for reply in replies} <= known
    assert all(reply["References"].split()[-1] == reply["In-Reply-To"] for reply in replies)


def test_all_kinds_of_mail_are_there(alice: list[Sample]) -> None:
    messages = parsed(alice)
    kinds = {part.get_content_type() for message in messages for part in message.walk()}
    charsets = {part.get_content_charset() for message in messages for part in message.walk()}

    assert {"text/html", "text/calendar", "text/csv", "application/pdf", "image/png", "message/rfc822"} <= kinds
    assert {"utf-8", "iso-8859-1", "x-klingon"} <= charsets
    assert any(b"https://images.fabrikam.example/" in sample.raw for sample in alice)
    assert any(1_900_000 < len(sample.raw) < 2_300_000 for sample in alice)
    assert any(max(map(len, sample.raw.split(b"\r\n"))) > 8000 for sample in alice)
    assert any(message["Message-ID"] is None and message["Date"] is None for message in messages)
    assert {sample.folder for sample in alice} == {"INBOX", "Sent", "Drafts", "Archive", "Junk", "Trash"}


def test_what_alice_sent_bob_received(alice: list[Sample]) -> None:
    sent = {sample.raw for sample in alice if sample.folder == "Sent"}
    received = {sample.raw for sample in mailbox(BOB, TODAY) if sample.folder in ("INBOX", "Archive")}

    assert len(sent & received) >= 8


def test_the_running_sandbox_serves_them(sandbox: Sandbox) -> None:
    first = sandbox.mail(ALICE)[0]

    assert b"Message-ID: <" in sandbox.raw(ALICE, first["uid"])
    assert len(sandbox.mail(ALICE)) > 80
