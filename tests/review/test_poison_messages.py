# ruff: noqa: F811 - fixtures of other folders are imported by name
"""One message, flag or folder that cannot be read or stored never holds up the others."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import DataError, OperationalError
from django.utils import timezone

from accounts.models import TenantRow
from audit import SYSTEM
from mailboxes import words
from mailboxes.models import FetchDebt, Folder, Mailbox, Message, SyncRun
from mailboxes.protocols import imap_wire
from mailboxes.protocols.replies import asked_pause
from mailboxes.services import bodies, insert_rows, leases, sync_now
from mailboxes.services.poll import poll
from tests.servers.dovecot import Dovecot
from tests.servers.scripted import Line
from tests.sync.conftest import Look, dovecot, introspection, look, packs, reachable  # noqa: F401 - fixtures
from tests.sync.mail import connected_mailbox, message
from tests.sync.odd_server import OddServer

pytestmark = [pytest.mark.usefixtures("db", "reachable", "packs"), pytest.mark.both_databases]


def at(port: int) -> Mailbox:
    return connected_mailbox(imap={"host": "localhost", "port": port, "security": "tls"})


def stored(mailbox: Mailbox) -> dict[int, bytes]:
    rows = Message.objects.filter(mailbox=mailbox, gone_at=None, uid__isnull=False).select_related("body__pack")
    return {row.uid: bodies.read(row.body) for row in rows if row.uid and row.body}


def time_comes() -> None:
    FetchDebt.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))


class BreaksAlways(OddServer):
    """Hangs up in the middle of one message, whatever part of it is asked for."""

    def _fetch(self, line: Line, uid: int, items: bytes) -> bool:
        if uid == self.breaks_at and b"BODY.PEEK" in items:
            line.send(b"* 1 FETCH (UID %d BODY[] {1000}\r\nhalf of it" % uid)
            return False
        return super()._fetch(line, uid, items)


def test_a_message_that_always_breaks_the_line_does_not_fail_every_poll_for_ever(dovecot: Dovecot, look: Look) -> None:
    server = BreaksAlways({1: message(1), 2: message(2)}, breaks_at=1, folders=("INBOX", "Projects"))
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        for _ in range(8):
            time_comes()
            look(mailbox)
        before = FetchDebt.objects.order_by("-tries").first()
        assert before
        for _ in range(3):  # nobody touches the debts: most polls must end well
            run = look(mailbox)

    assert run.state == "done", run.detail
    assert all(folder.last_synced_at for folder in Folder.objects.filter(mailbox=mailbox))


def test_an_endless_message_id_is_stored(dovecot: Dovecot, look: Look) -> None:
    """An index entry of PostgreSQL holds at most 2,704 bytes."""
    rng = random.Random(1)
    long = "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(1500))
    bad = b"Message-ID: <" + long.encode() + b"@x>\r\nSubject: x\r\n\r\nbody\r\n"
    server = OddServer({1: message(1), 2: bad, 3: message(3)})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        run = look(mailbox)

    assert run.state == "done", run.detail
    assert stored(mailbox) == server.messages


class OddFlags(OddServer):
    flags = b"a\x00b \xff\xfe"

    def _fetch(self, line: Line, uid: int, items: bytes) -> bool:
        class Wrapped:
            def say(self, *lines: bytes) -> None:
                line.say(*(one.replace(b"FLAGS ()", b"FLAGS (" + OddFlags.flags + b")") for one in lines))

            def send(self, data: bytes) -> None:
                line.send(data.replace(b"FLAGS ()", b"FLAGS (" + OddFlags.flags + b")"))

        return super()._fetch(Wrapped(), uid, items)  # type: ignore[arg-type]


def test_flags_with_characters_that_no_database_takes_are_stored_without_them(dovecot: Dovecot, look: Look) -> None:
    server = OddFlags({1: message(1)})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        run = look(mailbox)

    assert run.state == "done", run.detail
    assert stored(mailbox) == server.messages


def test_a_folder_whose_name_cannot_be_said_does_not_hold_up_the_others(dovecot: Dovecot, look: Look) -> None:
    server = OddServer({1: message(1)}, folders=("INBOX", "Entwürfe 2024", "Zebra"))
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        run = look(mailbox)

    assert run.state == "done", run.detail
    assert Message.objects.filter(folder__name="Zebra").count() == 1


def test_a_letter_that_quotes_the_placeholder_is_stored(dovecot: Dovecot, look: Look) -> None:
    letter = (
        b"From: a@example.org\r\nSubject: Help!\r\nMessage-ID: <1@x>\r\n\r\nOur gateway says:\r\n"
        b"> Retrieval using the IMAP4 protocol failed for the following message: 17\r\nWhat now?\r\n"
    )
    server = OddServer({1: letter})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        look(mailbox)
        for _ in range(6):
            time_comes()
            look(mailbox)

    assert stored(mailbox) == server.messages


class ClosesFolder(OddServer):
    """A folder that can no longer be opened, as when a share was taken back."""

    refused = ""

    def serve(self, line: Line) -> None:
        original = line.hear

        def hear() -> bytes:
            said = original()
            while self.refused and b'EXAMINE "' + self.refused.encode() in said:
                line.say(said.split(b" ")[0] + b" NO [NOPERM] taken back")
                said = original()
            return said

        line.hear = hear  # type: ignore[method-assign]
        super().serve(line)


def test_a_folder_that_was_closed_to_us_does_not_stop_the_backfill_of_the_others(dovecot: Dovecot, look: Look) -> None:
    server = ClosesFolder({uid: message(uid) for uid in range(1, 6)}, folders=("INBOX", "Alpha", "Beta"))
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        look(mailbox)
        Message.objects.all().delete()
        Folder.objects.filter(mailbox=mailbox).update(backfill_uid=6, message_count=0)
        Mailbox.objects.filter(pk=mailbox.pk).update(message_count=0)
        server.refused = "Alpha"
        run = look(mailbox)

    assert run.state == "done", run.detail
    assert Message.objects.filter(folder__name="Beta").count() == 5


def test_an_empty_message_is_stored_and_read_back(dovecot: Dovecot, look: Look) -> None:
    server = OddServer({1: b"", 2: b"\r\n", 3: message(3)})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        assert look(mailbox).state == "done"

    assert stored(mailbox) == server.messages


def test_more_answers_than_usual_are_no_fault_in_a_large_folder(
    dovecot: Dovecot, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All flags of a folder with 200,000 messages may have changed."""
    monkeypatch.setattr(imap_wire, "MAX_UNTAGGED", 5)
    server = OddServer({uid: message(uid) for uid in range(1, 21)})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        assert look(mailbox).state == "done"
        assert look(mailbox).state == "done"

    assert stored(mailbox) == server.messages


def test_a_sync_that_was_asked_for_during_the_poll_that_heals_is_due_at_once(dovecot: Dovecot) -> None:
    server = OddServer({1: message(1)})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        Mailbox.objects.filter(pk=mailbox.pk).update(state="delayed", reason="unreachable", failures=2)
        ticket = leases.claim_one(mailbox.pk, timezone.now())
        assert ticket
        claim = leases.take(mailbox.pk, ticket.lease_id)
        assert claim

        def ask(_: str, __: SyncRun) -> None:
            sync_now.request_sync(mailbox, actor=SYSTEM)

        poll(claim, progress=ask)

    mailbox.refresh_from_db()
    assert mailbox.state == "active"
    assert mailbox.next_poll_at
    assert mailbox.next_poll_at <= timezone.now()


def test_no_server_pauses_a_mailbox_for_years() -> None:
    assert asked_pause("Suggested Backoff Time: 999999999 seconds") == timedelta(days=1)
    assert asked_pause("Suggested Backoff Time: 30000 milliseconds") == timedelta(seconds=30)


def test_a_message_that_the_database_refuses_is_owed_and_holds_up_no_other(
    dovecot: Dovecot, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such value is known any more; the next one must not cost a folder."""
    original = insert_rows.insert

    def insert(model: type[TenantRow], tenant_id: UUID, rows: Sequence[insert_rows.Row]) -> None:
        if any(row.get("uid") in (7, 13) for row in rows):
            raise DataError("invalid byte sequence")
        original(model, tenant_id, rows)

    server = OddServer({uid: message(uid) for uid in range(1, 21)}, folders=("INBOX", "Zebra"))
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        with monkeypatch.context() as patched:
            patched.setattr(insert_rows, "insert", insert)
            run = look(mailbox)
        inbox = Folder.objects.get(mailbox=mailbox, role="inbox")
        assert run.state == "done", run.detail
        assert Message.objects.filter(mailbox=mailbox).count() == inbox.message_count * 2 == 36
        assert set(FetchDebt.objects.values_list("uid", "why")) == {(7, "not_storable"), (13, "not_storable")}
        assert mailbox.message_count == 36

        time_comes()
        look(mailbox)

    assert stored(mailbox) == server.messages
    assert not FetchDebt.objects.exists()


def test_a_database_that_goes_away_is_no_fault_of_a_message(
    dovecot: Dovecot, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    def insert(model: type[TenantRow], tenant_id: UUID, rows: Sequence[insert_rows.Row]) -> None:
        raise OperationalError("the database system is shutting down")

    server = OddServer({uid: message(uid) for uid in range(1, 4)})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        monkeypatch.setattr(insert_rows, "insert", insert)
        run = look(mailbox)

    assert (run.state, run.reason) == ("failed", "sync_internal")
    assert "log id" not in words.explain(run.reason).text
    assert not FetchDebt.objects.exists()


@dataclass
class RefusesIn(OddServer):
    """Opens its folders; refuses a command in one of them."""

    refused: tuple[bytes, bytes] = (b"", b"")
    """Folder, the beginning of the command."""

    def serve(self, line: Line) -> None:
        original, opened = line.hear, b""

        def hear() -> bytes:
            nonlocal opened
            said = original()
            while said:
                tag, _, command = said.partition(b" ")
                if command.startswith(b"EXAMINE"):
                    opened = command.split(b" ", 1)[1].strip(b'"\r\n ')
                folder, word = self.refused
                if not folder or folder != opened or not command.startswith(word):
                    break
                line.say(tag + b" NO [NOPERM] not for you")
                said = original()
            return said

        line.hear = hear  # type: ignore[method-assign]
        super().serve(line)


@pytest.mark.parametrize("word", [b"UID FETCH", b"UID SEARCH"])
def test_a_folder_whose_messages_cannot_be_listed_does_not_hold_up_the_others(
    word: bytes, dovecot: Dovecot, look: Look
) -> None:
    server = RefusesIn({uid: message(uid) for uid in range(1, 6)}, folders=("INBOX", "Alpha", "Beta"))
    server.refused = (b"Alpha", word)
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        run = look(mailbox)
        assert run.state == "done", run.detail
        assert "Alpha" in run.detail
        assert Message.objects.filter(folder__name="Beta").count() == 5
        assert not Message.objects.filter(folder__name="Alpha").exists()

        server.refused = (b"", b"")
        look(mailbox)

    assert Message.objects.filter(folder__name="Alpha").count() == 5
