# ruff: noqa: F811 - fixtures of other folders are imported by name
"""Sending when the ground moves under it: another provider in the middle, a stop at the wrong moment."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from audit import SYSTEM
from mailboxes import words
from mailboxes.models import Mailbox, OutboxMessage, ProviderApp, Token
from mailboxes.services import bodies, send_lease, send_ledger, states, suspend, sync_now
from mailboxes.services import outbox as outbox_service
from mailboxes.services.deliver import claim_due, deliver
from mailboxes.services.draft import Draft
from mailboxes.services.pack_storage import LocalPackStorage
from tests.outbox.conftest import (  # noqa: F401 - fixtures
    Queue,
    Send,
    authority,
    authority_path,
    connected_mailbox,
    mailbox,
    queue,
    reachable,
    send,
    server_tls,
    smtp,
)
from tests.outbox.faulty_smtp import FaultySmtp

pytestmark = pytest.mark.both_databases


class Seen(dict[str, str]):
    """The accounts of a server that remembers every token it was shown."""

    def __init__(self, accounts: dict[str, str]) -> None:
        super().__init__(accounts)
        self.tokens: list[object] = []

    def __contains__(self, token: object) -> bool:
        self.tokens.append(token)
        return super().__contains__(token)


@pytest.mark.django_db
def test_the_token_of_a_new_provider_is_never_shown_to_the_server_of_the_old(
    smtp: FaultySmtp, server_tls: Any, queue: Queue, mailbox: Mailbox
) -> None:
    """The mailbox is moved while a claim of two messages is being worked off."""
    first, second = queue(), queue()
    with FaultySmtp(server_tls) as other:
        app = ProviderApp.objects.create(
            tenant=mailbox.tenant, name="Other", preset="oidc", issuer="https://other.example", client_id="mailhub",
            smtp={"host": "localhost", "port": other.port, "security": "tls"}, pinned_hosts=["localhost:1"],
            discovery={"token_endpoint": "https://localhost:1/token"},
        )  # fmt: skip
        token = Token.objects.create(
            tenant=mailbox.tenant, provider_app=app, issuer=app.issuer, subject="new", access_token="secret-of-other",
            refresh_token="r", expires_at=timezone.now() + timedelta(days=1), generation=2,
        )  # fmt: skip
        smtp.accounts = seen = Seen({"token-of-anna": "anna"})
        claim = send_lease.claim_due(timezone.now(), 10)[0]

        def move(outbox: OutboxMessage, stage: str, reply: str) -> None:
            if stage == "accepted" and outbox.pk == first.pk:
                Mailbox.objects.filter(pk=mailbox.pk).update(provider_app=app, token=token)

        own = send_lease.take(claim.mailbox_id, claim.lease_id)
        assert own
        deliver(own, progress=move)
        assert other.taken == []
        assert "secret-of-other" not in seen.tokens
        assert len(smtp.taken) == 1
        second.refresh_from_db()
        assert (second.state, second.lease_id) == ("queued", None)

        again = send_lease.claim_due(timezone.now(), 10)[0]
        deliver(again)
        assert len(other.taken) == 1


@pytest.mark.django_db
def test_a_run_does_not_wait_for_ever_on_a_mailbox_that_was_stopped(mailbox: Mailbox) -> None:
    run = sync_now.request_sync(mailbox, actor=SYSTEM)
    assert run.state == "queued"
    suspend.suspend(mailbox, actor=SYSTEM)
    run.refresh_from_db()
    assert run.state in ("skipped", "failed")
    assert run.ended_at


@pytest.mark.django_db(transaction=True)
def test_suspending_wins_against_a_poll_that_ends_at_the_same_moment(smtp: FaultySmtp) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one write at a time")
    mailbox = connected_mailbox(smtp.port, state="delayed")
    read, go = threading.Event(), threading.Event()
    original = states.change

    def slow(*args: Any, **kwargs: Any) -> bool:
        if threading.current_thread().name == "suspends":
            read.set()
            go.wait(1)
        return original(*args, **kwargs)

    states.change = slow
    try:

        def run() -> None:
            try:
                suspend.suspend(Mailbox.objects.get(pk=mailbox.pk), actor=SYSTEM)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run, name="suspends")
        thread.start()
        assert read.wait(10)

        def heal() -> None:
            try:
                with transaction.atomic():
                    fresh = Mailbox.objects.select_for_update().get(pk=mailbox.pk)
                    states.healthy(fresh, next_poll_at=timezone.now())
            finally:
                connections.close_all()

        healer = threading.Thread(target=heal)
        healer.start()
        healer.join(0.5)
        go.set()
        thread.join(10)
        healer.join(10)
    finally:
        states.change = original
    mailbox.refresh_from_db()
    assert mailbox.state == "suspended"
    assert mailbox.next_poll_at is None


@pytest.mark.django_db
def test_a_passing_fault_of_the_disk_does_not_reject_a_message(
    queue: Queue,
    send: Send,
    monkeypatch: pytest.MonkeyPatch,
    smtp: FaultySmtp,
) -> None:
    outbox = queue()

    def broken(*args: Any, **options: Any) -> Any:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(LocalPackStorage, "open", broken)
        assert send(outbox).state == "deferred"
    assert send(outbox).state == "sent"
    assert smtp.copies_of(outbox.message_id) == 1


@pytest.mark.django_db
def test_a_full_disk_leaves_nothing_behind(
    queue: Queue,
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            bodies.store_one(mailbox, b"Subject: x\r\n\r\n")
    assert [path for path in (tmp_path / "packs").rglob("*") if path.is_file()] == []


@pytest.mark.django_db(transaction=True)
def test_the_marker_is_synced_to_the_disk_and_never_inside_another_transaction(smtp: FaultySmtp) -> None:
    mailbox = connected_mailbox(smtp.port)
    outbox = outbox_service.queue(mailbox, Draft(to=["bob@example.org"], text="x"), actor=SYSTEM)
    claim = send_lease.claim_one(outbox, timezone.now())
    assert claim
    (outbox,) = send_lease.leased(claim)
    assert send_ledger.begin(outbox)
    with pytest.raises(RuntimeError), transaction.atomic():
        send_ledger.mark_dot(outbox)
    send_ledger.mark_dot(outbox)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            assert cursor.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


@pytest.mark.django_db
def test_what_a_mailbox_that_no_longer_sends_had_queued_is_rejected_in_words(
    queue: Queue, mailbox: Mailbox, smtp: FaultySmtp
) -> None:
    outbox, later = queue(), queue()
    OutboxMessage.objects.filter(pk=later.pk).update(due_at=timezone.now() + timedelta(days=1))
    Mailbox.objects.filter(pk=mailbox.pk).update(send=False)
    assert claim_due(timezone.now(), 10) == []

    outbox.refresh_from_db()
    later.refresh_from_db()
    assert (outbox.state, outbox.reason) == ("rejected", "sends_nothing")
    assert "receive" in words.explain(outbox.reason).text
    assert later.state == "queued"
    assert smtp.taken == []
    assert [attempt.stage for attempt in outbox.attempts.all()] == ["refused"]


@pytest.mark.django_db
def test_switching_sending_off_stops_what_is_leased_already(queue: Queue, mailbox: Mailbox, smtp: FaultySmtp) -> None:
    _, second = queue(), queue()
    (claim,) = claim_due(timezone.now(), 10)

    def switch_off(outbox: OutboxMessage, stage: str, reply: str) -> None:
        if stage == "accepted":
            Mailbox.objects.filter(pk=mailbox.pk).update(send=False)

    deliver(claim, progress=switch_off)
    second.refresh_from_db()
    assert (len(smtp.taken), second.state) == (1, "queued")
