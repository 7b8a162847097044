"""What a server may do between two polls, on a real Dovecot."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from audit import SYSTEM
from mailboxes import errors
from mailboxes.models import Folder, Mailbox, Message, SignIn, SyncRun
from mailboxes.services import imap_door, sync_now
from tests.servers.dovecot import Dovecot
from tests.servers.oauth_stub import Introspection
from tests.sync.conftest import Look
from tests.sync.mail import TOKEN, message

pytestmark = pytest.mark.both_databases
AN_HOUR = timedelta(hours=1)


def fill(dovecot: Dovecot, mailbox: Mailbox, count: int, folder: str = "INBOX") -> None:
    for number in range(count):
        dovecot.deliver(mailbox.address, message(number), folder)


def inbox(mailbox: Mailbox) -> Folder:
    return Folder.objects.get(mailbox=mailbox, name="INBOX")


def rows(mailbox: Mailbox, **which: object) -> int:
    return Message.objects.filter(mailbox=mailbox, **which).count()


def an_hour_passes(mailbox: Mailbox) -> None:
    for name in ("compared_at", "suspect_since"):
        for folder in Folder.objects.filter(mailbox=mailbox, **{f"{name}__isnull": False}):
            Folder.objects.filter(pk=folder.pk).update(**{name: getattr(folder, name) - AN_HOUR})


def delete_all(dovecot: Dovecot, mailbox: Mailbox, count: int) -> None:
    dovecot.doveadm("expunge", "-u", mailbox.address, "mailbox", "INBOX", "uid", f"1:{count}")


def test_new_mail_and_changed_flags_arrive_with_the_next_poll(mailbox: Mailbox, dovecot: Dovecot, look: Look) -> None:
    fill(dovecot, mailbox, 5)
    look(mailbox)
    dovecot.deliver(mailbox.address, message(99))
    dovecot.doveadm("flags", "add", "-u", mailbox.address, "\\Seen $Label", "mailbox", "INBOX", "uid", "2")

    run = look(mailbox)

    assert (run.added, run.changed, run.removed) == (1, 1, 0)
    assert set(Message.objects.get(mailbox=mailbox, uid=2).flags) == {"\\Seen", "$Label"}


def test_a_poll_with_nothing_new_opens_no_folder_and_leaves_no_run(
    mailbox: Mailbox, dovecot: Dovecot, look: Look
) -> None:
    fill(dovecot, mailbox, 3)
    look(mailbox)
    runs = SyncRun.objects.count()

    run = look(mailbox)

    assert run.state == "done"
    assert SyncRun.objects.count() == runs
    assert mailbox.last_synced_at
    assert mailbox.next_poll_at
    assert mailbox.next_poll_at > timezone.now()


def test_reading_marks_nothing_as_read(mailbox: Mailbox, dovecot: Dovecot, look: Look) -> None:
    fill(dovecot, mailbox, 3)

    look(mailbox)

    assert dovecot.doveadm("search", "-u", mailbox.address, "mailbox", "INBOX", "seen") == ""


def test_a_message_that_was_deleted_is_marked_and_kept(mailbox: Mailbox, dovecot: Dovecot, look: Look) -> None:
    fill(dovecot, mailbox, 5)
    look(mailbox)
    delete_all(dovecot, mailbox, 2)
    an_hour_passes(mailbox)

    run = look(mailbox)

    assert run.removed == 2
    assert rows(mailbox) == 5
    assert rows(mailbox, gone_at=None) == mailbox.message_count == inbox(mailbox).message_count == 3


def test_when_much_is_gone_a_second_look_an_hour_later_must_agree(
    mailbox: Mailbox, dovecot: Dovecot, look: Look
) -> None:
    fill(dovecot, mailbox, 60)
    look(mailbox)
    delete_all(dovecot, mailbox, 55)
    an_hour_passes(mailbox)

    look(mailbox)
    assert rows(mailbox, gone_at=None) == 60
    look(mailbox)
    assert rows(mailbox, gone_at=None) == 60

    an_hour_passes(mailbox)
    look(mailbox)
    assert rows(mailbox, gone_at=None) == 5
    assert inbox(mailbox).suspect_since is None


def test_a_folder_that_looks_empty_once_loses_nothing(mailbox: Mailbox, dovecot: Dovecot, look: Look) -> None:
    fill(dovecot, mailbox, 4)
    look(mailbox)
    maildir = dovecot.home(mailbox.address) / "Maildir"
    for name in ("cur", "new"):
        (maildir / name).rename(maildir.parent / name)
        (maildir / name).mkdir()
        (maildir / name).chmod(0o777)
    an_hour_passes(mailbox)

    look(mailbox)

    assert inbox(mailbox).suspect_since
    assert rows(mailbox, gone_at=None) == 4

    for name in ("cur", "new"):
        (maildir / name).rmdir()
        (maildir.parent / name).rename(maildir / name)
    an_hour_passes(mailbox)
    look(mailbox)
    assert rows(mailbox, gone_at=None) == mailbox.message_count == 4


def renumber(dovecot: Dovecot, mailbox: Mailbox) -> None:
    maildir: Path = dovecot.home(mailbox.address) / "Maildir"
    for name in ("dovecot-uidlist", "dovecot.index", "dovecot.index.log", "dovecot.index.cache"):
        (maildir / name).unlink(missing_ok=True)


def test_after_a_change_of_uidvalidity_nothing_is_fetched_twice_and_nothing_lost(
    mailbox: Mailbox, dovecot: Dovecot, look: Look
) -> None:
    fill(dovecot, mailbox, 30)
    look(mailbox)
    before = inbox(mailbox).uidvalidity
    ids = set(Message.objects.filter(mailbox=mailbox).values_list("pk", flat=True))
    renumber(dovecot, mailbox)
    dovecot.deliver(mailbox.address, message(99))

    run = look(mailbox)

    assert inbox(mailbox).uidvalidity != before
    assert run.added == 1
    assert ids < set(Message.objects.filter(mailbox=mailbox, gone_at=None).values_list("pk", flat=True))
    assert rows(mailbox, uidvalidity=inbox(mailbox).uidvalidity) == 31


def test_what_cannot_be_told_apart_is_kept_twice(mailbox: Mailbox, dovecot: Dovecot, look: Look) -> None:
    raw = b"From: a@b.c\r\nDate: Mon, 3 Feb 2025 10:00:00 +0100\r\n\r\n"
    maildir = dovecot.home(mailbox.address) / "Maildir"
    for text in (b"one", b"two"):
        dovecot.deliver(mailbox.address, raw + text)
    for file in (maildir / "new").iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))  # the same INTERNALDATE
    look(mailbox)
    renumber(dovecot, mailbox)

    look(mailbox)

    assert rows(mailbox) == 4
    assert rows(mailbox, uidvalidity=inbox(mailbox).uidvalidity) == 2


def test_mail_that_nothing_can_parse_is_stored_and_stops_nothing(
    mailbox: Mailbox, dovecot: Dovecot, look: Look
) -> None:
    odd = [
        b"",
        b"no headers at all",
        b"\xff\xfe" * 500,
        b"Subject: nul \x00 here\r\n\r\nbody \x00",
        b"From: " + b"(" * 20000 + b"\r\n\r\nx",
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(1500)),
    ]
    for raw in odd:
        dovecot.deliver(mailbox.address, raw)
    dovecot.deliver(mailbox.address, message(1))

    run = look(mailbox)

    assert run.added == len(odd) + 1
    assert rows(mailbox, unreadable="") < len(odd) + 1
    assert not inbox(mailbox).debts.exists()


def test_with_headers_only_no_body_is_kept(mailbox: Mailbox, dovecot: Dovecot, look: Look) -> None:
    Mailbox.objects.filter(pk=mailbox.pk).update(keep="headers")
    fill(dovecot, mailbox, 3)

    look(mailbox)

    assert rows(mailbox, body=None) == 3
    assert {row.size for row in Message.objects.filter(mailbox=mailbox)} == {len(message(n)) for n in range(3)}


def test_a_folder_is_gone_when_a_second_look_does_not_find_it(mailbox: Mailbox, dovecot: Dovecot, look: Look) -> None:
    fill(dovecot, mailbox, 2, "Old")
    look(mailbox)
    dovecot.doveadm("mailbox", "delete", "-u", mailbox.address, "Old")

    look(mailbox)
    assert rows(mailbox, gone_at=None) == 2
    an_hour_passes(mailbox)
    look(mailbox)

    assert rows(mailbox, gone_at=None) == mailbox.message_count == 0
    assert Folder.objects.get(mailbox=mailbox, name="Old").gone_at


def test_a_refused_sign_in_asks_nobody_for_consent(
    mailbox: Mailbox, introspection: Introspection, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []
    whole = imap_door.tokens.bearer

    def bearer(token_id, *, newer_than=None):  # type: ignore[no-untyped-def]
        asked.append(newer_than)
        return whole(token_id)

    monkeypatch.setattr(imap_door.tokens, "bearer", bearer)
    introspection.tokens[TOKEN] = "somebody.else@example.org"

    run = look(mailbox)

    assert asked == [None, 1]  # renewed once, tried once more
    assert (run.state, run.reason) == ("failed", "signin_refused")
    assert (mailbox.state, mailbox.reason, mailbox.failures) == ("delayed", "signin_refused", 1)
    assert list(SignIn.objects.filter(mailbox=mailbox).values_list("outcome", flat=True)) == ["refused"] * 2


def test_after_a_fault_the_next_good_poll_makes_it_active_again(
    mailbox: Mailbox, introspection: Introspection, look: Look
) -> None:
    Mailbox.objects.filter(pk=mailbox.pk).update(state="delayed", reason="connection_lost", failures=3)

    look(mailbox)

    assert (mailbox.state, mailbox.reason, mailbox.failures) == ("active", "", 0)
    assert SignIn.objects.get(mailbox=mailbox).outcome == "ok"


def test_a_sync_that_was_asked_for_is_one_run_from_queued_to_done(
    mailbox: Mailbox, dovecot: Dovecot, look: Look
) -> None:
    fill(dovecot, mailbox, 2)
    asked = sync_now.request_sync(mailbox, actor=SYSTEM)
    again = sync_now.request_sync(mailbox, actor=SYSTEM)
    assert (asked.state, asked.pk) == ("queued", again.pk)

    run = look(mailbox)

    assert (run.pk, run.state, run.added) == (asked.pk, "done", 2)


def test_while_the_permission_is_being_renewed_a_run_waits_on(
    mailbox: Mailbox, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise errors.TokenBusy(retry_after=timedelta(seconds=3))

    asked = sync_now.request_sync(mailbox, actor=SYSTEM)
    monkeypatch.setattr(imap_door.tokens, "bearer", busy)

    run = look(mailbox)

    assert (run.state, run.reason) == ("skipped", "token_busy")
    asked.refresh_from_db()
    assert asked.state == "queued"
    assert (mailbox.state, mailbox.failures, mailbox.lease_id) == ("active", 0, None)
    assert mailbox.next_poll_at
    assert mailbox.next_poll_at > timezone.now()


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"state": "suspended"}, "suspended"),
        ({"state": "disconnected"}, "disconnected"),
        ({"state": "reconnect", "reason": "consent_revoked"}, "consent_revoked"),
        ({"state": "pending", "token": None}, "not_connected"),
        ({"receive": "none"}, "receives_nothing"),
        ({"receive": "pop3"}, "pop3_unread"),
        ({"state": "throttled", "next_poll_at": timezone.now() + AN_HOUR}, "throttled"),
    ],
)
def test_where_a_sync_cannot_run_the_run_says_why(mailbox: Mailbox, columns: dict[str, object], reason: str) -> None:
    Mailbox.objects.filter(pk=mailbox.pk).update(**columns)

    run = sync_now.request_sync(mailbox, actor=SYSTEM)

    assert (run.state, run.reason) == ("skipped", reason)
