"""Uncertain messages looked for in the Sent folder of a real Dovecot: found is proof, absence is none."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import trustme
from django.utils import timezone

from audit.models import AuditEvent
from mailboxes.models import Folder, Mailbox, Message, OutboxMessage, SignIn
from mailboxes.services import bodies, look_in_sent
from tests.outbox.conftest import TOKEN, Queue, Send, connected_mailbox, stages
from tests.outbox.faulty_smtp import DROP, FaultySmtp
from tests.servers.dovecot import Dovecot
from tests.servers.oauth_stub import Introspection

_numbers = itertools.count()
State = OutboxMessage.State


@pytest.fixture(scope="session")
def introspection() -> Iterator[Introspection]:
    with Introspection() as stub:
        yield stub


@pytest.fixture(scope="session")
def dovecot(introspection: Introspection, authority: trustme.CA) -> Iterator[Dovecot]:
    with Dovecot(introspection.url, introspection.client_id, introspection.client_secret, ca=authority) as server:
        yield server


@pytest.fixture
def mailbox(db: None, smtp: FaultySmtp, dovecot: Dovecot, introspection: Introspection) -> Mailbox:
    address = f"anna{next(_numbers)}@contoso.example"
    introspection.tokens[TOKEN] = address
    mailbox = connected_mailbox(smtp.port, address)
    app = mailbox.provider_app
    app.imap = {"host": dovecot.host, "port": dovecot.imaps, "security": "tls"}
    app.save()
    return mailbox


@pytest.fixture
def uncertain(smtp: FaultySmtp, queue: Queue, send: Send) -> OutboxMessage:
    smtp.fail("dot", DROP)
    outbox = send(queue())
    assert outbox.state == State.UNCERTAIN
    return outbox


def put_into_sent(dovecot: Dovecot, outbox: OutboxMessage, raw: bytes | None = None, folder: str = "Sent") -> None:
    dovecot.deliver(outbox.mailbox.address, raw if raw is not None else bodies.read(outbox.body), folder)


def found(outbox: OutboxMessage) -> bool:
    answer = look_in_sent.look(outbox.pk)
    outbox.refresh_from_db()
    return answer


def test_a_copy_in_sent_makes_it_sent(dovecot: Dovecot, uncertain: OutboxMessage) -> None:
    for number in range(5):
        put_into_sent(dovecot, uncertain, f"Subject: {number}\r\n\r\n".encode())
    put_into_sent(dovecot, uncertain)

    assert found(uncertain)

    assert (uncertain.state, uncertain.reason, uncertain.sent_at) == (State.SENT, "", uncertain.dot_at)
    assert stages(uncertain)[-1] == "found"
    assert uncertain.evidence is not None
    assert uncertain.evidence["found"] == {
        "mailbox": uncertain.mailbox.address,
        "folder": "Sent",
        "by": "X-Mailhub-ID, Message-ID",
    }
    assert AuditEvent.objects.filter(action="outbox.sent", outcome="ok").count() == 1
    assert SignIn.objects.filter(protocol="imap", outcome="ok").count() == 1
    assert not found(uncertain)  # no longer uncertain


@pytest.mark.parametrize("header", ["Message-ID", "X-Microsoft-Original-Message-ID"])
def test_a_copy_is_known_by_either_message_id(header: str, dovecot: Dovecot, uncertain: OutboxMessage) -> None:
    put_into_sent(
        dovecot, uncertain, f"Message-ID: <theirs@x>\r\n{header}:\r\n {uncertain.message_id}\r\n\r\n".encode()
    )

    assert found(uncertain)
    assert uncertain.evidence is not None
    assert uncertain.evidence["found"]["by"] == header


def test_absence_proves_nothing(dovecot: Dovecot, uncertain: OutboxMessage) -> None:
    put_into_sent(dovecot, uncertain, f"References: {uncertain.message_id}\r\nSubject: an answer\r\n\r\n".encode())
    put_into_sent(dovecot, uncertain, folder="Drafts")

    assert not found(uncertain)
    assert not found(uncertain)

    assert (uncertain.state, uncertain.reason) == (State.UNCERTAIN, "reply_lost")
    assert uncertain.evidence is not None
    assert uncertain.evidence["looks"] == 2
    assert uncertain.evidence["places"][0] | {"compared": 1} == {
        "mailbox": uncertain.mailbox.address, "folder": "Sent", "compared": 1,
    }  # fmt: skip
    assert uncertain.evidence["found"] is None


def test_without_imap_it_stays_uncertain_and_says_why(uncertain: OutboxMessage) -> None:
    Mailbox.objects.update(receive="pop3")

    assert not found(uncertain)
    assert uncertain.evidence is not None
    assert uncertain.evidence["why_not"] == "no_sent_folder"


def test_what_hinders_the_look_is_kept_and_the_mailbox_stays_as_it_is(
    uncertain: OutboxMessage, introspection: Introspection
) -> None:
    del introspection.tokens[TOKEN]

    assert not found(uncertain)

    assert uncertain.evidence is not None
    assert uncertain.evidence["why_not"]
    assert Mailbox.objects.get(pk=uncertain.mailbox_id).state == "active"


def test_a_copy_that_a_poll_brought_in_counts_in_any_mailbox_of_the_tenant(
    uncertain: OutboxMessage, smtp: FaultySmtp
) -> None:
    other = connected_mailbox(smtp.port, "bob@contoso.example", tenant=uncertain.mailbox.tenant)
    folder = Folder.objects.create(tenant=other.tenant, mailbox=other, name="INBOX")
    Message.objects.create(
        tenant=other.tenant, mailbox=other, folder=folder, uid=1, date=timezone.now(), size=1, sha256="0" * 64,
        mailhub_id=uncertain.mailhub_id,
    )  # fmt: skip

    assert found(uncertain)
    assert uncertain.state == State.SENT


def test_a_copy_of_another_tenant_proves_nothing_here(uncertain: OutboxMessage, smtp: FaultySmtp) -> None:
    other = connected_mailbox(smtp.port, "bob@fabrikam.example")
    folder = Folder.objects.create(tenant=other.tenant, mailbox=other, name="INBOX")
    Message.objects.create(
        tenant=other.tenant, mailbox=other, folder=folder, uid=1, date=timezone.now(), size=1, sha256="0" * 64,
        mailhub_id=uncertain.mailhub_id,
    )  # fmt: skip

    assert not found(uncertain)


def test_for_a_shared_mailbox_the_sent_folder_of_the_person_counts_too(
    dovecot: Dovecot, uncertain: OutboxMessage, smtp: FaultySmtp, introspection: Introspection
) -> None:
    shared = uncertain.mailbox
    person = connected_mailbox(smtp.port, f"person{next(_numbers)}@contoso.example", tenant=shared.tenant)
    Mailbox.objects.filter(pk=shared.pk).update(sign_in_as=person.address)
    introspection.tokens[TOKEN] = person.address
    dovecot.deliver(person.address, bodies.read(uncertain.body), "Sent")

    assert found(uncertain)


def test_looks_become_rarer_and_end_after_a_day(uncertain: OutboxMessage) -> None:
    begun = uncertain.dot_at
    assert begun is not None
    looks: list[timedelta] = []
    now = begun
    while now < begun + timedelta(hours=30):
        if look_in_sent.due(now, 10):
            looks.append(now - begun)
            OutboxMessage.objects.filter(pk=uncertain.pk).update(looked_at=now)
        now += timedelta(minutes=1)

    assert looks[0] == timedelta()
    assert looks[1] == timedelta(minutes=1)
    assert 12 <= len(looks) <= 30
    assert timedelta(hours=14) < looks[-1] < timedelta(hours=24)


def test_a_person_who_was_faster_wins(
    dovecot: Dovecot, uncertain: OutboxMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into_sent(dovecot, uncertain)
    keep = look_in_sent._keep

    def keep_late(seen: Any) -> bool:
        OutboxMessage.objects.filter(pk=uncertain.pk).update(state=State.QUEUED)
        return keep(seen)

    monkeypatch.setattr(look_in_sent, "_keep", keep_late)

    assert not found(uncertain)
    assert uncertain.state == State.QUEUED
