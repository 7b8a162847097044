"""Recipients put off beside others that were accepted: tried again alone, and each gets the message at most once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import AuditEvent
from mailboxes.models import Mailbox, OutboxMessage
from mailboxes.services import bodies, look_in_sent, recover_sends, send_ledger
from mailboxes.services.deliver import claim_due
from mailboxes.services.outbox import cancel, confirm_sent, send_again
from tests.outbox.conftest import PERSON, Queue, Send, stages
from tests.outbox.faulty_smtp import TAKE_AND_DROP, FaultySmtp

pytestmark = pytest.mark.both_databases

A, B, C, D = (f"{letter}@example.org" for letter in "abcd")
FINE = "250 2.1.5 OK"
FULL = "452 4.2.2 Mailbox full"
UNKNOWN = "550 5.1.1 Unknown"


def who_got_it(smtp: FaultySmtp) -> list[tuple[str, ...]]:
    return [received.recipients for received in smtp.taken]


def test_who_is_put_off_gets_the_same_bytes_later_and_nobody_gets_them_twice(
    smtp: FaultySmtp, queue: Queue, send: Send
) -> None:
    smtp.fail("rcpt", UNKNOWN, FINE, FULL, FINE)
    outbox = send(queue(to=[A, B], cc=[C], bcc=[D]))

    assert (outbox.state, outbox.reason, outbox.dot_at) == ("deferred", "recipients_later", None)
    assert outbox.recipients_left == [C]
    assert outbox.refused_recipients == [{"address": A, "reply": UNKNOWN}, {"address": C, "reply": FULL}]
    assert timedelta(seconds=30) < outbox.due_at - timezone.now() < timedelta(minutes=2)
    assert not AuditEvent.objects.filter(action="outbox.sent").exists()

    send(outbox)

    assert (outbox.state, outbox.reason, outbox.recipients_left) == ("sent", "not_to_all", [])
    assert outbox.refused_recipients == [{"address": A, "reply": UNKNOWN}]
    assert who_got_it(smtp) == [(B, D), (C,)]
    assert {received.raw for received in smtp.taken} == {bodies.read(outbox.body)}
    assert stages(outbox).count("accepted") == 2
    assert AuditEvent.objects.filter(action="outbox.sent").count() == 1


def test_more_recipients_than_a_server_takes_at_once_go_in_several_transactions_at_once(
    smtp: FaultySmtp, queue: Queue, send: Send
) -> None:
    too_many = "452 4.5.3 Your message has too many recipients."
    smtp.fail("rcpt", FINE, FINE, too_many, too_many, FINE, too_many)
    outbox = send(queue(to=[A, B, C, D]))
    while outbox.state == "deferred" and outbox.tries < 5:
        assert outbox.due_at <= timezone.now()
        send(outbox)

    assert (outbox.state, outbox.reason, outbox.refused_recipients) == ("sent", "", [])
    assert who_got_it(smtp) == [(A, B), (C,), (D,)]


def test_the_rest_refused_for_good_is_recorded_and_the_message_stays_sent(
    smtp: FaultySmtp, queue: Queue, send: Send
) -> None:
    smtp.fail("rcpt", FINE, FULL, FULL, FULL, FULL, UNKNOWN, FULL, UNKNOWN)
    outbox = send(queue(to=[A, B, C]))
    assert outbox.recipients_left == [B, C]
    send(outbox)
    assert (outbox.state, outbox.recipients_left) == ("deferred", [B, C])
    send(outbox)
    assert (outbox.state, outbox.recipients_left) == ("deferred", [C])
    send(outbox)

    assert (outbox.state, outbox.reason) == ("sent", "not_to_all")
    assert outbox.refused_recipients == [{"address": B, "reply": UNKNOWN}, {"address": C, "reply": UNKNOWN}]
    assert who_got_it(smtp) == [(A,)]


@pytest.mark.parametrize(("stage", "reply"), [("data", "451 4.3.0 Later"), ("rcpt", FULL)])
def test_who_is_put_off_for_a_day_is_recorded_as_refused(
    stage: str, reply: str, smtp: FaultySmtp, queue: Queue, send: Send
) -> None:
    smtp.fail("rcpt", FINE, FULL)
    outbox = send(queue(to=[A, B]))
    outbox.attempts.filter(stage="started").update(at=timezone.now() - timedelta(hours=24))
    smtp.fail(stage, reply)
    send(outbox)

    assert (outbox.state, outbox.reason, outbox.recipients_left) == ("sent", "not_to_all", [])
    assert outbox.refused_recipients == [{"address": B, "reply": reply}]
    assert who_got_it(smtp) == [(A,)]


def test_a_lost_answer_about_the_rest_is_uncertain_for_the_rest_alone(
    smtp: FaultySmtp, queue: Queue, send: Send
) -> None:
    smtp.fail("rcpt", FINE, FULL)
    outbox = send(queue(to=[A, B]))
    smtp.fail("dot", TAKE_AND_DROP)
    send(outbox)
    assert (outbox.state, outbox.recipients_left) == ("uncertain", [B])

    assert not look_in_sent.look(outbox.pk)  # the copy of the first transaction has the same Message-ID
    outbox.refresh_from_db()
    assert (outbox.state, (outbox.evidence or {})["why_not"]) == ("uncertain", "copy_of_others")

    assert send_again(outbox, actor=PERSON)
    assert send(outbox).state == "sent"
    assert who_got_it(smtp) == [(A,), (B,), (B,)]  # a person took that risk; A is never asked again


def test_who_was_put_off_is_tried_once_the_others_are_known_to_have_it(
    smtp: FaultySmtp, queue: Queue, send: Send
) -> None:
    smtp.fail("rcpt", FINE, FULL)
    smtp.fail("dot", TAKE_AND_DROP)
    outbox = send(queue(to=[A, B]))
    assert outbox.state == "uncertain"

    assert confirm_sent(outbox, actor=PERSON)
    assert (outbox.state, outbox.recipients_left, outbox.dot_at) == ("deferred", [B], None)
    assert send(outbox).state == "sent"
    assert who_got_it(smtp) == [(A,), (B,)]
    assert AuditEvent.objects.filter(action="outbox.sent").count() == 1


def test_a_worker_lost_before_the_dot_leaves_the_rest_deferred(smtp: FaultySmtp, queue: Queue, send: Send) -> None:
    smtp.fail("rcpt", FINE, FULL)
    outbox = send(queue(to=[A, B]))
    OutboxMessage.objects.filter(pk=outbox.pk).update(due_at=timezone.now() - timedelta(minutes=1))
    (claim,) = claim_due(timezone.now(), 10)
    outbox.refresh_from_db()
    assert send_ledger.begin(outbox)
    assert recover_sends.recover(claim.until + timedelta(hours=1)) == 1

    outbox.refresh_from_db()
    assert (outbox.state, outbox.reason, outbox.recipients_left) == ("deferred", "recipients_later", [B])
    assert send(outbox).state == "sent"
    assert who_got_it(smtp) == [(A,), (B,)]


def test_cancelling_the_rest_does_not_deny_what_was_sent(smtp: FaultySmtp, queue: Queue, send: Send) -> None:
    smtp.fail("rcpt", FINE, FULL)
    outbox = send(queue(to=[A, B]))

    assert cancel(outbox, actor=PERSON)
    assert (outbox.state, outbox.reason, outbox.recipients_left) == ("sent", "not_to_all", [])
    assert outbox.refused_recipients == [{"address": B, "reply": FULL}]
    assert AuditEvent.objects.filter(action="outbox.cancelled").count() == 1


def test_the_rest_of_a_disconnected_mailbox_is_refused_and_the_message_stays_sent(
    smtp: FaultySmtp, queue: Queue, send: Send, mailbox: Mailbox
) -> None:
    smtp.fail("rcpt", FINE, FULL)
    outbox = send(queue(to=[A, B]))
    Mailbox.objects.filter(pk=mailbox.pk).update(state="disconnected")
    assert recover_sends.recover(timezone.now() + timedelta(hours=1)) == 1

    outbox.refresh_from_db()
    assert (outbox.state, outbox.reason, outbox.recipients_left) == ("sent", "not_to_all", [])
