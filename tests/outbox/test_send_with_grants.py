"""What the grant and the sign-in do to a message: it waits for what a person must do, and never bounces for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mailboxes import errors
from mailboxes.models import Mailbox, OutboxMessage, SignIn, Token
from mailboxes.services import tokens
from mailboxes.services.deliver import claim_due, deliver
from tests.outbox.conftest import TOKEN, Queue, Send, stages
from tests.outbox.faulty_smtp import FaultySmtp

State = OutboxMessage.State


def give(monkeypatch: pytest.MonkeyPatch, *answers: tokens.Bearer | errors.MailError) -> list[int | None]:
    """The token service answers so, the last for ever; what it was asked `newer_than` is listed."""
    asked: list[int | None] = []
    waiting = list(answers)

    def bearer(token_id: object, *, newer_than: int | None = None, **options: Any) -> tokens.Bearer:
        asked.append(newer_than)
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, errors.MailError):
            raise answer
        return answer

    monkeypatch.setattr(tokens, "bearer", bearer)
    return asked


OLD, NEW = tokens.Bearer(TOKEN, 1, None), tokens.Bearer("newer-token", 2, None)


def test_a_refused_token_is_renewed_once_and_the_message_goes(
    smtp: FaultySmtp, queue: Queue, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    smtp.accounts = {"newer-token": "anna"}
    asked = give(monkeypatch, OLD, NEW)

    outbox = send(queue())

    assert outbox.state == State.SENT
    assert asked == [None, 1]
    assert stages(outbox) == ["started", "connected", "connected", "signed_in", "recipients", "dot_follows", "accepted"]
    assert list(SignIn.objects.order_by("at").values_list("outcome", "token_generation")) == [("refused", 1), ("ok", 2)]


def test_refused_twice_it_is_deferred_and_the_mailbox_stays_as_it_is(
    smtp: FaultySmtp, queue: Queue, send: Send, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    smtp.accounts = {"no-such-token": "anna"}
    give(monkeypatch, OLD, NEW)

    outbox = send(queue())

    mailbox.refresh_from_db()
    assert (outbox.state, outbox.reason) == (State.DEFERRED, "signin_refused")
    assert mailbox.state == "active"
    assert "newer-token" not in str(list(outbox.attempts.values_list("reply", flat=True)))


def test_a_454_is_the_servers_bad_day_and_no_reason_to_renew(
    smtp: FaultySmtp, queue: Queue, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    smtp.fail("auth", "454 4.7.0 Temporary authentication failure")
    asked = give(monkeypatch, OLD)

    assert send(queue()).reason == "provider_down"
    assert asked == [None]


def test_smtp_switched_off_says_so(smtp: FaultySmtp, queue: Queue, send: Send) -> None:
    smtp.always["auth"] = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant"

    outbox = send(queue())

    assert (outbox.state, outbox.reason) == (State.DEFERRED, "smtp_auth_off")


@pytest.mark.parametrize(
    ("error", "mailbox_state"),
    [
        (errors.ConsentNeeded(), "reconnect"),
        (errors.AppMisconfigured(), "misconfigured"),
        (errors.AdminApprovalNeeded(), "awaiting_admin"),
        (errors.KeyWrong(), "misconfigured"),
    ],
)
def test_a_grant_that_fails_moves_the_mailbox_and_the_message_waits_untried(
    error: errors.MailError, mailbox_state: str, smtp: FaultySmtp, queue: Queue, send: Send, mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    give(monkeypatch, error)

    outbox = send(queue())

    mailbox.refresh_from_db()
    assert (outbox.state, outbox.tries, outbox.reason) == (State.QUEUED, 0, error.reason)
    assert (outbox.lease_id, stages(outbox)) == (None, [])
    assert mailbox.state == mailbox_state
    Mailbox.objects.filter(pk=mailbox.pk).update(state="active")
    give(monkeypatch, OLD)
    (claim,) = claim_due(timezone.now() + timedelta(minutes=2), 10)
    deliver(claim)
    outbox.refresh_from_db()
    assert (outbox.state, outbox.reason) == (State.SENT, "")


def test_a_grant_that_ends_while_signing_in_keeps_the_message_for_better_days(
    smtp: FaultySmtp, queue: Queue, send: Send, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    smtp.accounts = {"no-such-token": "anna"}
    give(monkeypatch, OLD, errors.ConsentNeeded())

    outbox = send(queue())

    mailbox.refresh_from_db()
    assert (outbox.state, outbox.reason) == (State.DEFERRED, "consent_revoked")
    assert outbox.due_at <= timezone.now()
    assert mailbox.state == "reconnect"


def test_a_busy_token_costs_a_moment(
    queue: Queue, send: Send, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, errors.TokenBusy(retry_after=timedelta(seconds=2)))

    outbox = send(queue())

    mailbox.refresh_from_db()
    assert (outbox.state, mailbox.state) == (State.QUEUED, "active")
    assert outbox.due_at - timezone.now() < timedelta(seconds=3)


def test_without_a_token_a_message_waits_and_says_why(queue: Queue, send: Send, mailbox: Mailbox) -> None:
    Mailbox.objects.filter(pk=mailbox.pk).update(token=None)

    outbox = send(queue())

    assert (outbox.state, outbox.reason) == (State.QUEUED, "not_connected")


def test_no_message_leaves_after_the_grant_ended_between_two(
    smtp: FaultySmtp, queue: Queue, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = queue(), queue()
    give(monkeypatch, OLD, errors.ConsentNeeded())
    (claim,) = claim_due(timezone.now(), 10)

    deliver(claim)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == (State.SENT, State.QUEUED)


def test_a_new_token_gets_a_new_connection(smtp: FaultySmtp, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue(), queue(), queue()
    give(monkeypatch, OLD, OLD, NEW)
    (claim,) = claim_due(timezone.now(), 10)

    assert [row.state for row in deliver(claim)] == [State.SENT] * 3
    assert smtp.connections == 2


def test_a_mailbox_suspended_between_two_messages_sends_no_more(
    smtp: FaultySmtp, queue: Queue, mailbox: Mailbox
) -> None:
    queue(), queue()
    (claim,) = claim_due(timezone.now(), 10)

    def suspend(outbox: OutboxMessage, stage: str, reply: str) -> None:
        Mailbox.objects.filter(pk=mailbox.pk).update(state="suspended")

    deliver(claim, progress=suspend)

    assert sorted(OutboxMessage.objects.values_list("state", flat=True)) == ["queued", "sent"]


def test_a_mailbox_that_only_sends_shows_what_hinders_it_and_recovers(
    smtp: FaultySmtp, queue: Queue, send: Send, mailbox: Mailbox
) -> None:
    Mailbox.objects.filter(pk=mailbox.pk).update(receive="none")
    smtp.fail("greeting", "421 4.3.0 Down")

    outbox = send(queue())

    mailbox.refresh_from_db()
    assert (outbox.state, mailbox.state, mailbox.reason) == (State.DEFERRED, "delayed", "provider_down")
    send(outbox)
    mailbox.refresh_from_db()
    assert (outbox.state, mailbox.state, mailbox.next_poll_at) == (State.SENT, "active", None)


def test_an_untrusted_certificate_gets_no_token(queue: Queue, send: Send, settings: Any) -> None:
    settings.MAILHUB_CA_BUNDLE = None

    outbox = send(queue())

    assert (outbox.state, outbox.reason) == (State.DEFERRED, "tls_untrusted")
    assert not SignIn.objects.exists()


def test_a_living_token_is_really_used(smtp: FaultySmtp, queue: Queue, send: Send) -> None:
    smtp.accounts = {TOKEN: "anna"}

    assert send(queue()).state == State.SENT
    assert Token.objects.get().generation == 1
