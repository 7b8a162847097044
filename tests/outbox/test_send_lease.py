"""Who may send: one worker a mailbox, fenced by its lease; what a lost worker leaves behind comes to a true state."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from accounts.models import Tenant
from audit.models import AuditEvent
from mailboxes.errors import LeaseLost
from mailboxes.models import Mailbox, OutboxMessage
from mailboxes.services import send_lease, send_ledger
from mailboxes.services.deliver import claim_due, deliver
from tests.outbox.conftest import Queue, connected_mailbox, stages
from tests.outbox.faulty_smtp import FaultySmtp

pytestmark = pytest.mark.both_databases
State = OutboxMessage.State


def begun(outbox: OutboxMessage) -> OutboxMessage:
    claim = send_lease.claim_one(outbox, timezone.now())
    assert claim
    (mine,) = send_lease.leased(claim)
    assert send_ledger.begin(mine)
    return mine


def end_lease(outbox: OutboxMessage) -> None:
    OutboxMessage.objects.filter(pk=outbox.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_mailbox_is_claimed_by_one_worker_at_a_time(queue: Queue) -> None:
    now = timezone.now() + timedelta(seconds=1)
    queue()

    assert len(claim_due(now, 10)) == 1
    later = queue()
    assert claim_due(now + timedelta(seconds=1), 10) == []
    assert send_lease.claim_one(later, now) is None


@pytest.mark.django_db(transaction=True)
def test_dispatchers_beside_each_other_claim_each_mailbox_once(smtp: FaultySmtp, queue: Queue) -> None:
    tenant = Tenant.objects.create(name="Fabrikam")
    boxes = [connected_mailbox(smtp.port, f"p{n}@fabrikam.example", tenant=tenant) for n in range(20)]
    for box in boxes:
        queue(mailbox=box)
        queue(mailbox=box)
    at_once = threading.Barrier(3)
    claims: list[send_lease.SendClaim] = []

    def dispatch() -> None:
        try:
            at_once.wait(10)
            claims.extend(claim_due(timezone.now(), 50))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=dispatch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claims.extend(claim_due(timezone.now(), 50))  # whom all three skipped

    assert sorted(claim.mailbox_id for claim in claims) == sorted(box.pk for box in boxes)
    assert sum(len(send_lease.leased(claim)) for claim in claims) == 40


def test_a_ticket_is_good_for_one_job(queue: Queue) -> None:
    queue()
    (claim,) = claim_due(timezone.now(), 10)

    assert send_lease.take(claim.mailbox_id, claim.lease_id)
    assert send_lease.take(claim.mailbox_id, claim.lease_id) is None


def test_tenants_take_turns(smtp: FaultySmtp, queue: Queue, db: None) -> None:
    busy = Tenant.objects.create(name="Busy")
    boxes = [connected_mailbox(smtp.port, f"b{n}@busy.example", tenant=busy) for n in range(3)]
    for box in boxes:
        queue(mailbox=box)
    quiet = queue()

    claims = claim_due(timezone.now(), 2)

    assert quiet.mailbox_id in {claim.mailbox_id for claim in claims}


def test_what_is_not_due_waits(queue: Queue) -> None:
    outbox = queue(send_at=timezone.now() + timedelta(hours=1))

    assert claim_due(timezone.now(), 10) == []
    (claim,) = claim_due(outbox.due_at, 10)
    assert claim.mailbox_id == outbox.mailbox_id


@pytest.mark.parametrize("state", ["pending", "reconnect", "suspended"])
def test_messages_of_a_mailbox_that_waits_for_a_person_keep_their_turn(
    state: str, queue: Queue, mailbox: Mailbox
) -> None:
    outbox = queue()
    Mailbox.objects.filter(pk=mailbox.pk).update(state=state)

    assert claim_due(timezone.now(), 10) == []
    outbox.refresh_from_db()
    assert outbox.state == State.QUEUED
    Mailbox.objects.filter(pk=mailbox.pk).update(state="active")
    assert len(claim_due(timezone.now(), 10)) == 1


def test_messages_of_a_disconnected_mailbox_are_rejected_with_the_reason(queue: Queue, mailbox: Mailbox) -> None:
    outbox = queue()
    Mailbox.objects.filter(pk=mailbox.pk).update(state="disconnected")

    assert claim_due(timezone.now(), 10) == []

    outbox.refresh_from_db()
    assert (outbox.state, outbox.reason) == (State.REJECTED, "disconnected")
    assert stages(outbox) == ["refused"]


@pytest.mark.parametrize("columns", [{"lease_until": "past"}, {"lease_id": "other"}, {"state": "queued"}, {"tries": 7}])
def test_a_closed_fence_changes_nothing(columns: dict[str, Any], queue: Queue) -> None:
    from uuid import uuid4

    outbox = begun(queue())
    values = {"past": timezone.now() - timedelta(seconds=1), "other": uuid4()}
    OutboxMessage.objects.filter(pk=outbox.pk).update(
        **{name: values.get(value, value) for name, value in columns.items()}
    )
    rows, events = stages(outbox), AuditEvent.objects.count()

    for write in (
        lambda: send_ledger.step(outbox, "connected"),
        lambda: send_ledger.mark_dot(outbox),
        lambda: send_ledger.finish(outbox, State.SENT, "accepted"),
    ):
        with pytest.raises(LeaseLost):
            write()

    stored = OutboxMessage.objects.get(pk=outbox.pk)
    assert (stored.dot_at, stored.sent_at) == (None, None)
    assert (stages(outbox), AuditEvent.objects.count()) == (rows, events)


def test_a_step_renews_the_lease_of_all_that_the_claim_holds(queue: Queue, settings: Any) -> None:
    first, second = queue(), queue()
    (claim,) = claim_due(timezone.now(), 10)
    settings.MAILHUB_SEND_LEASE = timedelta(hours=2)
    mine = send_lease.leased(claim)[0]

    assert send_ledger.begin(mine)

    for outbox in (first, second):
        outbox.refresh_from_db()
        assert outbox.lease_until is not None
        assert outbox.lease_until - timezone.now() > timedelta(hours=1)


def test_a_lost_lease_at_the_marker_sends_no_dot(
    smtp: FaultySmtp, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = queue()
    step = send_ledger.step

    def lose_it_first(row: OutboxMessage, stage: str, *args: Any, **kwargs: Any) -> None:
        if stage == "dot_follows":
            end_lease(row)
        step(row, stage, *args, **kwargs)

    monkeypatch.setattr(send_ledger, "step", lose_it_first)
    (claim,) = claim_due(timezone.now(), 10)

    deliver(claim)

    assert smtp.taken == []
    outbox.refresh_from_db()
    assert (outbox.state, outbox.dot_at) == (State.SENDING, None)
    claim_due(timezone.now(), 0)
    outbox.refresh_from_db()
    assert outbox.state == State.QUEUED


def test_a_worker_that_ended_before_the_marker_leaves_it_queued(queue: Queue) -> None:
    outbox = begun(queue())
    end_lease(outbox)

    (claim,) = claim_due(timezone.now(), 10)

    outbox.refresh_from_db()
    assert (outbox.state, outbox.lease_id) == (State.QUEUED, claim.lease_id)
    assert stages(outbox) == ["started", "abandoned"]


def test_a_message_that_ends_its_worker_each_time_is_not_tried_in_a_circle(queue: Queue) -> None:
    outbox = queue()
    OutboxMessage.objects.filter(pk=outbox.pk).update(tries=3)
    outbox.refresh_from_db()
    end_lease(begun(outbox))

    assert claim_due(timezone.now(), 10) == []
    outbox.refresh_from_db()
    assert outbox.due_at - timezone.now() > timedelta(minutes=10)


def test_a_worker_that_ended_after_the_marker_leaves_it_uncertain(queue: Queue) -> None:
    outbox = begun(queue())
    send_ledger.mark_dot(outbox)
    end_lease(outbox)

    assert claim_due(timezone.now(), 10) == []

    outbox.refresh_from_db()
    assert (outbox.state, outbox.reason) == (State.UNCERTAIN, "worker_lost")
    assert stages(outbox)[-1] == "abandoned"
    assert AuditEvent.objects.filter(action="outbox.uncertain").count() == 1


def test_the_marker_of_an_earlier_try_says_nothing_of_this_one(smtp: FaultySmtp, queue: Queue) -> None:
    smtp.fail("dot", "451 Later")
    outbox = queue()
    (claim,) = claim_due(timezone.now(), 10)
    deliver(claim)
    outbox.refresh_from_db()
    assert outbox.dot_at is not None

    end_lease(begun(outbox))
    claim_due(timezone.now(), 0)

    outbox.refresh_from_db()
    assert outbox.state == State.QUEUED


def test_a_fault_of_ours_gives_everything_back_at_once(
    smtp: FaultySmtp, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox, other = queue(), queue()
    monkeypatch.setattr("mailboxes.services.bodies.read", lambda _: 1 / 0)
    (claim,) = claim_due(timezone.now(), 10)

    with pytest.raises(ZeroDivisionError):
        deliver(claim)

    monkeypatch.undo()
    claim_due(timezone.now(), 10)
    outbox.refresh_from_db()
    other.refresh_from_db()
    assert (outbox.state, other.state) == (State.QUEUED, State.QUEUED)
    assert other.lease_id == outbox.lease_id != claim.lease_id
