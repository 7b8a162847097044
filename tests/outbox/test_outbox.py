"""Queueing once, and the deeds of people: which state allows which."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from audit.models import AuditEvent
from mailboxes.models import Body, Mailbox, OutboxMessage
from mailboxes.services import bodies, send_lease
from mailboxes.services import outbox as outbox_service
from mailboxes.services.draft import Draft, DraftRefused
from tests.outbox.conftest import PERSON, Queue, Send, stages
from tests.outbox.faulty_smtp import DROP, FaultySmtp

pytestmark = pytest.mark.both_databases
State = OutboxMessage.State


def test_what_is_queued_holds_the_bytes_and_the_envelope(queue: Queue, mailbox: Mailbox) -> None:
    later = timezone.now() + timedelta(hours=1)

    outbox = queue(to=["Bob <bob@example.org>"], bcc=["eve@example.org"], send_at=later, subject=" Hello ")

    outbox.refresh_from_db()
    raw = bodies.read(outbox.body)
    assert outbox.state == State.QUEUED
    assert outbox.recipients == {"to": ["bob@example.org"], "cc": [], "bcc": ["eve@example.org"]}
    assert (outbox.subject, outbox.sender, outbox.due_at) == ("Hello", mailbox.address, later)
    assert f"X-Mailhub-ID: {outbox.mailhub_id}\r\n".encode() in raw
    assert outbox.message_id.encode() in raw
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_label, event.object_id) == ("outbox.queued", PERSON.actor_label, str(outbox.pk))
    assert "bob" not in str(event.detail)


def test_a_refused_draft_stores_nothing(queue: Queue) -> None:
    with pytest.raises(DraftRefused):
        queue(to=["bob"])

    assert not OutboxMessage.objects.exists()
    assert not Body.objects.exists()
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("columns", [{"send": False}, {"state": "disconnected"}])
def test_a_mailbox_that_cannot_send_queues_nothing(columns: dict[str, Any], queue: Queue, mailbox: Mailbox) -> None:
    Mailbox.objects.filter(pk=mailbox.pk).update(**columns)
    mailbox.refresh_from_db()

    with pytest.raises(DraftRefused) as refusal:
        queue()
    assert mailbox.address in refusal.value.message_dict["sender"][0]


@pytest.mark.parametrize("state", ["pending", "reconnect", "suspended", "misconfigured", "throttled"])
def test_a_mailbox_that_waits_for_somebody_queues(state: str, queue: Queue, mailbox: Mailbox) -> None:
    mailbox.state = state

    assert queue().state == State.QUEUED


def test_the_same_key_and_draft_answer_the_same_message(queue: Queue) -> None:
    assert queue(idempotency_key="k").pk == queue(idempotency_key="k").pk
    assert queue().pk != queue().pk


def test_the_same_key_with_another_draft_is_a_conflict(queue: Queue) -> None:
    queue(idempotency_key="k")

    with pytest.raises(outbox_service.IdempotencyConflict):
        queue(idempotency_key="k", subject="Other")


def test_a_key_too_long_is_refused(queue: Queue) -> None:
    with pytest.raises(DraftRefused):
        queue(idempotency_key="k" * 256)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_under_one_key_queue_one_message(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    both_composed = threading.Barrier(2)
    store_one = bodies.store_one

    def store_together(of: Mailbox, raw: bytes) -> Body:
        both_composed.wait(10)  # both have seen that there is no earlier one
        return store_one(of, raw)

    monkeypatch.setattr(bodies, "store_one", store_together)
    queued: list[Any] = []

    def run() -> None:
        try:
            draft = Draft(to=["bob@example.org"], subject="Once")
            queued.append(outbox_service.queue(mailbox, draft, actor=PERSON, idempotency_key="k").pk)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(queued) == 2
    assert queued[0] == queued[1]
    assert OutboxMessage.objects.count() == Body.objects.count() == AuditEvent.objects.count() == 1


DEEDS: dict[str, dict[str, str]] = {
    # the state before → the state after each deed; missing: refused
    "cancel": {"queued": "cancelled", "deferred": "cancelled"},
    "send_again": {"uncertain": "queued", "rejected": "queued", "cancelled": "queued"},
    "confirm_sent": {"uncertain": "sent"},
}


@pytest.mark.parametrize("before", State.values)
@pytest.mark.parametrize("deed", DEEDS)
def test_a_deed_moves_only_from_the_states_of_the_table(deed: str, before: str, queue: Queue) -> None:
    outbox = queue()
    OutboxMessage.objects.filter(pk=outbox.pk).update(state=before)
    events = AuditEvent.objects.count()

    done = getattr(outbox_service, deed)(outbox, actor=PERSON)

    after = DEEDS[deed].get(before)
    outbox.refresh_from_db()
    assert done == (after is not None)
    assert outbox.state == (after or before)
    assert AuditEvent.objects.count() == events + done


def test_a_cancelled_message_is_not_begun_even_by_a_worker_that_leased_it(smtp: FaultySmtp, queue: Queue) -> None:
    from mailboxes.services.deliver import deliver

    outbox = queue()
    claim = send_lease.claim_one(outbox, timezone.now())
    assert claim

    assert outbox_service.cancel(outbox, actor=PERSON)
    deliver(claim)

    assert smtp.taken == []
    outbox.refresh_from_db()
    assert outbox.state == State.CANCELLED


def test_sending_again_keeps_the_bytes_and_says_who_wanted_it(smtp: FaultySmtp, queue: Queue, send: Send) -> None:
    smtp.fail("dot", DROP)
    outbox = send(queue())
    assert outbox.state == State.UNCERTAIN

    assert outbox_service.send_again(outbox, actor=PERSON)
    send(outbox)

    assert outbox.state == State.SENT
    assert smtp.taken[0].raw == bodies.read(outbox.body)
    assert smtp.copies_of(outbox.message_id) == 1
    assert stages(outbox)[6] == "again"
    again = outbox.attempts.get(stage="again")
    assert (again.number, again.reply) == (1, f"by {PERSON.actor_label}")
    assert AuditEvent.objects.filter(action="outbox.sent_again", actor_label=PERSON.actor_label).count() == 1


def test_after_sending_again_the_day_begins_anew(smtp: FaultySmtp, queue: Queue, send: Send) -> None:
    smtp.fail("mail", "550 No", "451 Later")
    outbox = send(queue())
    outbox.attempts.update(at=timezone.now() - timedelta(days=3))

    outbox_service.send_again(outbox, actor=PERSON)
    send(outbox)

    assert outbox.state == State.DEFERRED
    assert outbox.due_at - timezone.now() < timedelta(minutes=2)


def test_what_a_person_confirmed_says_so(smtp: FaultySmtp, queue: Queue, send: Send) -> None:
    smtp.fail("dot", DROP)
    outbox = send(queue())

    assert outbox_service.confirm_sent(outbox, actor=PERSON)

    assert (outbox.state, outbox.sent_at) == (State.SENT, outbox.dot_at)
    assert stages(outbox)[-1] == "confirmed"
    assert AuditEvent.objects.filter(action="outbox.confirmed").count() == 1
