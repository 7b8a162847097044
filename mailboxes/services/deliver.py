"""Sending: what a claim leases goes out, oldest first, over one connection; each step is in the ledger before it is taken.

The marker "dot follows" commits right before the final dot. A connection or worker lost after it leaves `uncertain`,
never `queued`: Mailhub sends nothing twice by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Greatest
from django.utils import timezone

from mailboxes import errors
from mailboxes.errors import Deferred, MailError, Rejected, Uncertain
from mailboxes.models import Mailbox, OutboxMessage, ProviderApp, SendAttempt, SignIn
from mailboxes.protocols.deadline import Deadline
from mailboxes.services import bodies, recipients, recover_sends, retry_send, send_lease, send_ledger, states, stop
from mailboxes.services.send_lease import SendClaim
from mailboxes.services.smtp_door import SmtpDoor

SLICE = 60.0  # seconds a mailbox; the rest stays due
ENVELOPE_SECONDS = 60.0
LONGEST_BREAK = timedelta(minutes=5)  # of a mailbox's sending when its server does not serve; more if it asks for more

GRANT = (errors.GrantError, errors.KeyWrong)
STATE = ("state", "reason", "failures")

State = OutboxMessage.State
Stage = SendAttempt.Stage
Progress = Callable[[OutboxMessage, str, str], None]
"""Told of each step once it is stored: the message, a Stage, the reply."""


def claim_due(now: datetime, limit: int) -> list[SendClaim]:
    """What a dispatcher hands to jobs: up to `limit` mailboxes with due messages. First come those whose worker ended."""
    recover_sends.recover(now)
    return send_lease.claim_due(now, limit)


def deliver(claim: SendClaim, *, progress: Progress | None = None) -> list[OutboxMessage]:
    """Sends what the claim leases, until it is asked to stop, its slice is over, or the server does not serve.

    Answers the messages that were begun, with their new state. What the wire does to us never raises: it is written down.
    """
    return _Delivery(claim, progress).run()


class _Delivery:
    def __init__(self, claim: SendClaim, progress: Progress | None) -> None:
        self.claim = claim
        self.mailbox = Mailbox.objects.select_related("tenant", "provider_app").get(pk=claim.mailbox_id)
        self.door = SmtpDoor(self.mailbox)
        self.progress = progress or _untold
        self.until = time.monotonic() + SLICE

    def run(self) -> list[OutboxMessage]:
        begun: list[OutboxMessage] = []
        try:
            for outbox in send_lease.leased(self.claim):
                if stop.requested() or time.monotonic() > self.until or not self._send_next(outbox, begun):
                    break
        except errors.LeaseLost:
            self.door.drop()
        except BaseException:
            self.door.drop()  # without another word: nobody knows how far it came
            raise
        finally:
            self.door.close()
            send_lease.abandon(self.claim)
        return begun

    def _send_next(self, outbox: OutboxMessage, begun: list[OutboxMessage]) -> bool:
        """False when the others need not be tried now."""
        permission = (self.mailbox.token_id, self.mailbox.provider_app_id)
        self.mailbox.refresh_from_db(fields=[*STATE, "token", "provider_app", "receive", "send"])
        if (self.mailbox.token_id, self.mailbox.provider_app_id) != permission:
            return False  # moved to another: its token is nothing for the server whose line is open
        if self.mailbox.state not in send_lease.SENDING_STATES or not self.mailbox.send:
            return False
        try:
            bearer = self.door.bearer()
        except MailError as error:
            self._wait_for_grant(error)
            return False
        if not send_ledger.begin(outbox):
            return True
        begun.append(outbox)
        self.progress(outbox, Stage.STARTED, "")
        try:
            raw = bodies.read(outbox.body)
            session = self.door.open(
                bearer,
                connected=lambda reply: self._step(outbox, Stage.CONNECTED, reply),
                signed_in=lambda reply: self._step(outbox, Stage.SIGNED_IN, reply),
            )
            session.deadline = Deadline(ENVELOPE_SECONDS)
            asked = recipients.envelope(outbox)
            replies = session.envelope(outbox.sender, asked, raw)
            refused = recipients.refusals(outbox, asked, [str(reply) for reply in replies])
            taken = f"{sum(reply.ok for reply in replies)} of {len(asked)}"
            self._step(outbox, Stage.RECIPIENTS, taken, refused_recipients=refused)
            # The marker renews the lease, so the wait for the last answer ends before the lease does.
            session.deadline = Deadline(settings.MAILHUB_SEND_LEASE.total_seconds() * 0.8)
            final = session.data(raw, before_dot=lambda: send_ledger.mark_dot(outbox))
        except Uncertain as error:
            self._finish(outbox, State.UNCERTAIN, Stage.LOST, error)
        except errors.LeaseLost:
            raise
        except errors.StorageFault as error:
            return self._failed(outbox, error)
        except errors.BodyUnreadable as error:
            self._give_up(outbox, Stage.FAILED, error)
        except MailError as error:
            return self._failed(outbox, error)
        else:
            self._taken(outbox, str(final))
        return True

    # -- how a try ends ---------------------------------------------------------------------------------------------

    def _taken(self, outbox: OutboxMessage, reply: str) -> None:
        """The server has it for those whom it accepted; whom it put off is tried again alone."""
        now = timezone.now()
        columns = recipients.after_taking(outbox) | {"sent_at": now}
        if columns["recipients_left"]:
            due_at = now if recipients.too_many_at_once(outbox) else retry_send.next_try(outbox, now)
            columns |= {"due_at": due_at} if due_at else recipients.given_up(outbox, reply)
        send_ledger.finish(outbox, stage=Stage.ACCEPTED, reply=reply, sign_ins=self._sign_ins(), **columns)
        self.progress(outbox, Stage.ACCEPTED, reply)
        if self.mailbox.receive == Mailbox.Receive.NONE and self.mailbox.state != Mailbox.State.ACTIVE:
            states.healthy(self.mailbox, next_poll_at=None)  # no poll will ever notice that it works

    def _failed(self, outbox: OutboxMessage, error: MailError) -> bool:
        """The server does not have the message. False when the fault is the mailbox's, not the message's."""
        now = timezone.now()
        if limit := retry_send.limit_in(error):
            self._pause(now + limit.pause, of_organisation=limit.of_organisation)
            if again_at := retry_send.after_limit(outbox, now, limit):
                self._finish(outbox, State.DEFERRED, Stage.REFUSED, error, reason="daily_limit", due_at=again_at)
            else:
                self._give_up(outbox, Stage.REFUSED, error, reason="limit_stays")
            return False
        if isinstance(error, Rejected):
            all_refused = error.stage == "rcpt" and error.status
            reason = "recipients_refused" if all_refused else "too_large" if error.status == 552 else error.reason
            self._give_up(outbox, Stage.REFUSED, error, reason=reason)
            return self._ready_for_next()
        answered = isinstance(error, errors.SignInRefused) or (isinstance(error, Deferred) and error.status)
        stage = Stage.REFUSED if answered else Stage.FAILED
        of_message = isinstance(error, Deferred) and error.status != 421 and error.retry_after is None
        if not of_message:
            self._tell_mailbox(error)
        if isinstance(error, GRANT):
            due_at: datetime | None = now + self._grant_pause(error)
        else:
            due_at = retry_send.next_try(outbox, now, error.retry_after)
        if due_at is None:
            self._give_up(outbox, stage, error, reason="expired")
        else:
            columns = recipients.after_refusal(outbox, error)
            self._finish(outbox, State.DEFERRED, stage, error, due_at=due_at, **columns)
        if not of_message:
            self._pause(now + (error.retry_after or min(LONGEST_BREAK, retry_send.pause_after(outbox.tries))))
            return False
        return self._ready_for_next()

    def _give_up(self, outbox: OutboxMessage, stage: str, error: MailError, *, reason: str = "") -> None:
        """Rejected; but a message that some have got already stays sent, and says who has not."""
        columns: dict[str, Any] = {"state": State.REJECTED, "reason": reason} | recipients.after_refusal(outbox, error)
        if outbox.recipients_left:
            outbox.refused_recipients = columns.get("refused_recipients", outbox.refused_recipients)
            columns = recipients.given_up(outbox, error.detail)
        self._finish(outbox, stage=stage, error=error, **columns)

    def _wait_for_grant(self, error: MailError) -> None:
        """Nothing was begun: what is leased waits, and says for what."""
        now = timezone.now()
        self._tell_mailbox(error)
        send_lease.release(
            self.claim, due_at=Greatest(F("due_at"), now + self._grant_pause(error)), reason=error.reason
        )

    def _grant_pause(self, error: MailError) -> timedelta:
        """No pause where only a person helps: the message goes as soon as the mailbox works again."""
        if self.mailbox.state not in send_lease.SENDING_STATES:
            return timedelta()
        return error.retry_after or retry_send.PAUSES[0]

    def _tell_mailbox(self, error: MailError) -> None:
        """The grant is the mailbox's; a mail server that refuses is told with the message (reading may go on well)."""
        if isinstance(error, errors.TokenBusy) or self.mailbox.token_id is None:
            return
        if isinstance(error, GRANT) or self.mailbox.receive == Mailbox.Receive.NONE:
            self.mailbox.refresh_from_db(fields=STATE)
            states.from_error(self.mailbox, error)

    def _pause(self, until: datetime, *, of_organisation: bool = False) -> None:
        """Stops sending for the mailbox, or for all that send through the same organisation's client."""
        app: ProviderApp = self.mailbox.provider_app
        which = Q(provider_app=app) if of_organisation else Q(pk=self.mailbox.pk)
        Mailbox.objects.filter(which, Q(send_paused_until=None) | Q(send_paused_until__lt=until)).update(
            send_paused_until=until
        )

    def _ready_for_next(self) -> bool:
        """The session forgets the refused envelope; one that cannot is opened anew."""
        self.door.reset()
        return True

    # -- writing ----------------------------------------------------------------------------------------------------

    def _step(self, outbox: OutboxMessage, stage: str, reply: str, **columns: object) -> None:
        send_ledger.step(outbox, stage, reply, sign_ins=self._sign_ins(), **columns)
        self.progress(outbox, stage, reply)

    def _finish(
        self, outbox: OutboxMessage, state: str, stage: str, error: MailError, *, reason: str = "", **columns: object
    ) -> None:
        reply = error.detail
        send_ledger.finish(
            outbox, state, stage, reason=reason or error.reason, reply=reply, sign_ins=self._sign_ins(), **columns
        )
        self.progress(outbox, stage, reply)

    def _sign_ins(self) -> list[SignIn]:
        taken, self.door.sign_ins = self.door.sign_ins, []
        return taken


def _untold(outbox: OutboxMessage, stage: str, reply: str) -> None:
    """For those who read the ledger instead."""
