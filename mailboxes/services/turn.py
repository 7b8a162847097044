"""One turn of a mailbox: its lease, its slice of time, and what will be told of it.

Every write goes through `write()`: one transaction that begins with the fence and carries the sign-ins and the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

import audit
from mailboxes import errors
from mailboxes.models import Mailbox, SignIn, SyncRun
from mailboxes.services import grants, leases, states, stop, turn_away

SLICE = timedelta(seconds=60)
BUSY_PAUSE = timedelta(seconds=2)
State = SyncRun.State

Progress = Callable[[str, SyncRun], None]
"""Told after each chunk: the folder's name, and the run so far."""


class Interrupted(Exception):
    """The worker was asked to stop in the middle of what cannot be cut in pieces: the next turn begins it again."""


class Turn:
    def __init__(self, claim: leases.Claim, *, progress: Progress | None = None) -> None:
        self.claim = claim
        self.mailbox = Mailbox.objects.select_related("tenant", "provider_app").get(pk=claim.mailbox_id)
        self.started = timezone.now()
        self._token_id = self.mailbox.token_id  # the sign-in tells of this permission, not of one given meanwhile
        self.unfinished = False
        """More is left than the slice allowed: the mailbox is due again at once."""
        self.passed_over: dict[str, errors.CommandRefused] = {}
        """Folders in which the server refused a command, and what it said: the others were read."""
        self._until = time.monotonic() + SLICE.total_seconds()
        self._sign_ins: list[SignIn] = []
        self._progress = progress
        self._stored = False
        self.run = self._begin()

    def _begin(self) -> SyncRun:
        """The run that somebody asked for, or a new one, which stays unsaved as long as there is nothing to tell."""
        open_runs = list(self.mailbox.runs.filter(state__in=(State.QUEUED, State.RUNNING)).order_by("created_at"))
        queued = [run for run in open_runs if run.state == State.QUEUED]
        run = queued[0] if queued else SyncRun(tenant_id=self.mailbox.tenant_id, mailbox=self.mailbox)
        run.state, run.started_at = State.RUNNING, self.started
        if open_runs:
            with transaction.atomic():
                leases.fence(self.claim.mailbox_id, self.claim.lease_id)
                for left in open_runs:
                    if left.state == State.RUNNING and left is not run:  # its worker was killed
                        left.state, left.reason, left.ended_at = State.FAILED, "lease_lost", self.started
                        left.save(update_fields=["state", "reason", "ended_at"])
                if queued:
                    run.save(update_fields=["state", "started_at"])
        self._stored = bool(queued)
        return run

    def note(self, sign_in: SignIn) -> None:
        """Kept for the next transaction."""
        self._sign_ins.append(sign_in)

    def goes_on(self) -> bool:
        """False when the slice is over or the worker was asked to stop: then something is left for the next turn."""
        if time.monotonic() < self._until and not stop.requested():
            return True
        self.unfinished = True
        return False

    @contextmanager
    def write(self, *, counting: tuple[int, int, int] = (0, 0, 0)) -> Iterator[None]:
        """A transaction under the fence. `counting`: added, changed and removed messages, if it commits.

        Raises LeaseLost, and then nothing of it is stored.
        """
        before = (self.run.added, self.run.changed, self.run.removed)
        try:
            with transaction.atomic():
                leases.fence(self.claim.mailbox_id, self.claim.lease_id)
                yield
                self.run.added, self.run.changed, self.run.removed = map(sum, zip(before, counting, strict=True))
                if any(counting):
                    self.run.save()
                SignIn.objects.bulk_create(self._sign_ins)
        except BaseException:
            self.run.added, self.run.changed, self.run.removed = before
            raise
        self._stored = self._stored or any(counting)
        self._sign_ins.clear()

    def hold(self) -> None:
        """Keeps the lease during long work that stores nothing. Raises LeaseLost."""
        leases.fence(self.claim.mailbox_id, self.claim.lease_id)

    def tell(self, where: str) -> None:
        if self._progress:
            self._progress(where, self.run)

    def finish(self) -> None:
        """The turn went well."""
        now = timezone.now()
        refused = "; ".join(f"{name}: {error.detail}" for name, error in self.passed_over.items())
        self._end(State.DONE, "stopped" if stop.requested() and self.unfinished else "", refused)
        with self.write():
            if self._stored:
                self.run.save()
            self._read_state()
            columns: dict[str, object] = {"last_synced_at": now}
            if self.mailbox.proven_at is None and self.mailbox.token_id == self._token_id:
                columns["proven_at"] = now
            if self.mailbox.state not in leases.CLAIMABLE:  # its permission ended while we were reading
                leases.release(self.claim, None, **columns)
                return
            next_poll_at = now if self.unfinished else states.next_regular_poll(now)
            if self.mailbox.state != Mailbox.State.ACTIVE or self.mailbox.failures or self.mailbox.reason:
                states.healthy(self.mailbox, next_poll_at=next_poll_at)
            leases.release(self.claim, next_poll_at, **columns)  # last: a sync asked for is due at once

    def fail(self, error: errors.MailError) -> None:
        """The turn ended with an error: the mailbox's state follows from it, and the run tells why.

        The first sign-in of an account that a consent could not try is that consent's proof: refused, it is turned away.
        """
        ended: UUID | None = None
        self._end(State.FAILED, error.reason, error.detail if error.detail != error.reason else "")
        with self.write():
            self.run.save()
            self._read_state()
            leases.release(self.claim, None)
            is_new = turn_away.is_unproven(self.mailbox) and self.mailbox.token_id == self._token_id
            if self.mailbox.state in leases.CLAIMABLE:  # else its permission ended meanwhile, which says more
                if is_new and isinstance(error, errors.SignInRefused):
                    ended = turn_away.turn_away(self.mailbox, error)
                else:
                    states.from_error(self.mailbox, error)
        self._stored = True
        if ended is not None:
            grants.end_if_unused(ended, actor=audit.SYSTEM)

    def postpone(self, busy: errors.TokenBusy) -> None:
        """No fault of anybody: the permission is being renewed at this moment. A run that was asked for waits on."""
        with self.write():
            if self._stored:
                SyncRun.objects.filter(pk=self.run.pk).update(state=State.QUEUED, started_at=None)
            leases.release(self.claim, timezone.now() + (busy.retry_after or BUSY_PAUSE))
        self._end(State.SKIPPED, busy.reason)

    def lost(self) -> None:
        """Another has the mailbox now, or it was stopped: nothing may be written for it, so nothing is."""
        self._end(State.FAILED, "lease_lost")

    def _end(self, state: str, reason: str, detail: str = "") -> None:
        self.run.state, self.run.reason, self.run.detail = state, reason, detail[:500]
        self.run.ended_at = timezone.now()

    def _read_state(self) -> None:
        """Others may have moved the mailbox on while we were reading; the fence holds its row now."""
        fields = ["state", "reason", "failures", "token", "pinned_subject", "proven_at"]
        self.mailbox.refresh_from_db(fields=fields)
