"""One message on its way: what the server has, what the ledger says, for every answer and every break."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import AuditEvent
from mailboxes.models import Mailbox, OutboxMessage, SignIn
from mailboxes.services import bodies
from tests.outbox.conftest import Queue, Send, stages
from tests.outbox.faulty_smtp import DROP, TAKE_AND_DROP, FaultySmtp

WHOLE = ["started", "connected", "signed_in", "recipients", "dot_follows"]


def test_a_message_arrives_byte_for_byte_and_every_step_is_in_the_ledger(
    smtp: FaultySmtp, queue: Queue, send: Send
) -> None:
    outbox = send(queue(to=["bob@example.org"], bcc=["eve@example.org"], text=".\n..dots\n.\nFrom me\nü\n"))

    (received,) = smtp.taken
    assert received.raw == bodies.read(outbox.body)
    assert received.sender == "anna@contoso.example"
    assert received.recipients == ("bob@example.org", "eve@example.org")
    assert (outbox.state, outbox.reason, outbox.lease_id) == ("sent", "", None)
    assert outbox.sent_at is not None
    assert outbox.reply == "250 2.0.0 OK queued as 1"
    assert stages(outbox) == [*WHOLE, "accepted"]
    assert SignIn.objects.get(protocol="smtp").outcome == "ok"
    assert list(AuditEvent.objects.order_by("seq").values_list("action", flat=True)) == ["outbox.queued", "outbox.sent"]


BEFORE_THE_DOT = ["greeting", "ehlo", "auth", "mail", "rcpt", "data"]


@pytest.mark.parametrize("stage", BEFORE_THE_DOT)
def test_a_line_that_breaks_before_the_dot_defers_and_the_next_try_delivers(
    stage: str, smtp: FaultySmtp, queue: Queue, send: Send
) -> None:
    smtp.fail(stage, DROP)

    outbox = send(queue())

    assert (outbox.state, outbox.reason) == (
        "deferred",
        "connection_lost" if stage in BEFORE_THE_DOT[:3] else "deferred",
    )
    assert stages(outbox)[-1] == "failed"
    assert outbox.dot_at is None
    assert smtp.taken == []
    assert send(outbox).state == "sent"
    assert smtp.copies_of(outbox.message_id) == 1
    assert outbox.tries == 2


@pytest.mark.parametrize("stage", [*BEFORE_THE_DOT, "dot"])
def test_a_4xx_anywhere_defers(stage: str, smtp: FaultySmtp, queue: Queue, send: Send) -> None:
    smtp.fail(stage, "451 4.3.0 Come back later")

    outbox = send(queue())

    assert outbox.state == "deferred"
    assert "451 4.3.0 Come back later" in outbox.reply
    assert timedelta(seconds=30) < outbox.due_at - timezone.now() < timedelta(minutes=2)
    assert smtp.taken == []
    assert send(outbox).state == "sent"
    assert smtp.copies_of(outbox.message_id) == 1


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_a_5xx_for_the_message_rejects_it_and_keeps_the_reply(
    stage: str, smtp: FaultySmtp, queue: Queue, send: Send
) -> None:
    smtp.fail(stage, "550 5.7.1 Not from you")

    outbox = send(queue())

    assert (outbox.state, outbox.reply) == ("rejected", "550 5.7.1 Not from you")
    assert outbox.reason == ("recipients_refused" if stage == "rcpt" else "rejected")
    assert stages(outbox)[-1] == "refused"
    assert smtp.taken == []
    assert AuditEvent.objects.filter(action="outbox.rejected", outcome="failed").count() == 1


@pytest.mark.parametrize(("fault", "copies"), [(DROP, 0), (TAKE_AND_DROP, 1), ("banana", 0), ("354 what", 0)])
def test_no_answer_after_the_dot_is_uncertain_and_never_sent_again(
    fault: str, copies: int, smtp: FaultySmtp, queue: Queue, send: Send
) -> None:
    smtp.fail("dot", fault)

    outbox = send(queue())

    assert (outbox.state, outbox.reason) == ("uncertain", "reply_lost")
    assert stages(outbox) == [*WHOLE, "lost"]
    assert outbox.dot_at is not None
    assert smtp.copies_of(outbox.message_id) == copies
    assert AuditEvent.objects.filter(action="outbox.uncertain").count() == 1


def test_refused_recipients_are_recorded_and_the_others_get_it(smtp: FaultySmtp, queue: Queue, send: Send) -> None:
    smtp.fail("rcpt", "550 5.1.1 Unknown", "250 2.1.5 Fine", "552 5.2.2 Full")

    outbox = send(queue(to=["a@example.org", "b@example.org"], cc=["c@example.org", "d@example.org"]))

    assert outbox.state == "sent"
    assert outbox.refused_recipients == [
        {"address": "a@example.org", "reply": "550 5.1.1 Unknown"},
        {"address": "c@example.org", "reply": "552 5.2.2 Full"},
    ]


def test_all_recipients_refused_for_now_defers(smtp: FaultySmtp, queue: Queue, send: Send) -> None:
    smtp.fail("rcpt", "550 5.1.1 Unknown", "450 4.2.1 Busy")

    assert send(queue(to=["a@example.org", "b@example.org"])).state == "deferred"


def test_several_messages_share_one_connection_in_the_order_of_their_turn(
    smtp: FaultySmtp, queue: Queue, send: Send, mailbox: Mailbox
) -> None:
    from mailboxes.services.deliver import claim_due, deliver

    now = timezone.now()
    rows = [queue(subject=str(number)) for number in range(4)]
    OutboxMessage.objects.filter(pk=rows[3].pk).update(due_at=now - timedelta(hours=1))
    smtp.fail("dot", "250 OK", "554 5.6.0 Spam")

    (claim,) = claim_due(timezone.now(), 10)
    begun = deliver(claim)

    assert [row.subject for row in begun] == ["3", "0", "1", "2"]
    assert [row.state for row in begun] == ["sent", "rejected", "sent", "sent"]
    assert smtp.connections == 1


def test_a_limit_of_the_day_pauses_the_mailbox_and_bounces_nothing(
    smtp: FaultySmtp, queue: Queue, mailbox: Mailbox
) -> None:
    from mailboxes.services.deliver import claim_due, deliver

    first, second = queue(), queue()
    smtp.fail("dot", "550 5.4.5 Daily user sending limit exceeded.")

    (claim,) = claim_due(timezone.now(), 10)
    deliver(claim)

    first.refresh_from_db()
    second.refresh_from_db()
    mailbox.refresh_from_db()
    assert (first.state, first.reason) == ("deferred", "daily_limit")
    assert (second.state, second.tries) == ("queued", 0)
    assert mailbox.send_paused_until is not None
    assert mailbox.send_paused_until - timezone.now() > timedelta(hours=3)
    assert claim_due(timezone.now(), 10) == []
    assert len(claim_due(timezone.now() + timedelta(hours=4, minutes=1), 10)) == 1


def test_an_asked_for_pause_is_kept(smtp: FaultySmtp, queue: Queue, send: Send, mailbox: Mailbox) -> None:
    smtp.fail("mail", "421 4.3.2 Slow down. Suggested Backoff Time: 600000 milliseconds")

    outbox = send(queue())

    mailbox.refresh_from_db()
    assert outbox.state == "deferred"
    assert outbox.due_at - timezone.now() > timedelta(minutes=9)
    assert mailbox.send_paused_until is not None
    assert mailbox.send_paused_until - timezone.now() > timedelta(minutes=9)


def test_after_a_day_of_coming_back_later_it_is_given_up(smtp: FaultySmtp, queue: Queue, send: Send) -> None:
    smtp.always["mail"] = "451 4.3.0 Later"
    outbox = send(queue())
    pauses = []
    while outbox.state == "deferred" and len(pauses) < 20:
        pauses.append(outbox.due_at - timezone.now())
        outbox.attempts.filter(stage="started", number=1).update(at=timezone.now() - sum(pauses, timedelta()))
        send(outbox)

    assert (outbox.state, outbox.reason) == ("rejected", "expired")
    assert pauses[0] < pauses[2] < pauses[4] < timedelta(hours=5)
    assert 8 <= len(pauses) <= 14
    assert "451 4.3.0 Later" in outbox.reply


def test_a_daily_limit_that_never_ends_is_given_up_after_three_days(smtp: FaultySmtp, queue: Queue, send: Send) -> None:
    smtp.always["mail"] = "550 5.4.5 Daily user sending limit exceeded."
    outbox = send(queue())
    assert outbox.state == "deferred"

    outbox.attempts.filter(number=1).update(at=timezone.now() - timedelta(hours=47))
    assert send(outbox).state == "deferred"
    outbox.attempts.filter(number=1).update(at=timezone.now() - timedelta(hours=69))
    assert (send(outbox).state, outbox.reason) == ("rejected", "limit_stays")
    assert "Daily user sending limit" in outbox.reply
