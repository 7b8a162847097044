from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from mailboxes.models import FetchDebt, Folder, Mailbox, Message
from mailboxes.services import bodies, chunks
from tests.servers.dovecot import Dovecot
from tests.sync.conftest import Look
from tests.sync.mail import connected_mailbox, message
from tests.sync.odd_server import OddServer
from tests.sync.test_servers_that_change import an_hour_passes

pytestmark = [pytest.mark.usefixtures("reachable", "packs"), pytest.mark.both_databases]


def at(port: int) -> Mailbox:
    return connected_mailbox(imap={"host": "localhost", "port": port, "security": "tls"})


def stored(mailbox: Mailbox) -> dict[int, bytes]:
    rows = Message.objects.filter(mailbox=mailbox, gone_at=None, uid__isnull=False).select_related("body__pack")
    return {row.uid: bodies.read(row.body) for row in rows if row.uid and row.body}


def time_comes() -> None:
    FetchDebt.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))


def test_a_message_that_is_listed_but_not_returned_is_owed_and_comes_later(
    db: None, dovecot: Dovecot, look: Look
) -> None:
    server = OddServer({uid: message(uid) for uid in range(1, 8)}, withheld={3})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        look(mailbox)
        assert set(stored(mailbox)) == {1, 2, 4, 5, 6, 7}
        assert FetchDebt.objects.get().uid == 3

        look(mailbox)  # its time has not come
        assert FetchDebt.objects.get().tries == 1
        time_comes()
        look(mailbox)
        assert FetchDebt.objects.get().tries == 2

        server.withheld.clear()
        time_comes()
        look(mailbox)

    assert stored(mailbox) == server.messages
    assert not FetchDebt.objects.exists()


def test_what_is_never_returned_whole_is_put_together_from_its_parts(db: None, dovecot: Dovecot, look: Look) -> None:
    server = OddServer({1: message(1)}, withheld={1})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        look(mailbox)
        for _ in range(4):
            time_comes()
            look(mailbox)

    assert stored(mailbox) == server.messages


def test_a_debt_for_a_message_that_went_away_is_forgotten(db: None, dovecot: Dovecot, look: Look) -> None:
    server = OddServer({uid: message(uid) for uid in (1, 2)}, withheld={2})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        look(mailbox)
        del server.messages[2]
        an_hour_passes(mailbox)
        look(mailbox)

    assert not FetchDebt.objects.exists()


def test_the_text_that_exchange_sends_in_place_of_a_message_is_not_the_message(
    db: None, dovecot: Dovecot, look: Look
) -> None:
    sorry = b"Subject: x\r\n\r\nRetrieval using the IMAP4 protocol failed for the following message: 1\r\n"
    server = OddServer({1: sorry, 2: message(2)})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        look(mailbox)
        assert set(stored(mailbox)) == {2}
        assert FetchDebt.objects.get().why == "placeholder"

        server.messages[1] = message(1)
        time_comes()
        look(mailbox)

    assert stored(mailbox) == server.messages


def test_what_exchange_never_returns_is_shown_as_unreadable_until_it_comes_after_all(
    db: None, dovecot: Dovecot, look: Look
) -> None:
    sorry = b"Subject: x\r\n\r\nRetrieval using the IMAP4 protocol failed for the following message: 1\r\n"
    server = OddServer({1: sorry, 2: message(2)})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        look(mailbox)
        for _ in range(6):
            time_comes()
            look(mailbox)
        shown = Message.objects.get(uid=1)
        assert shown.unreadable == "message_unreadable"
        assert stored(mailbox) == server.messages
        assert mailbox.message_count == 2
        assert FetchDebt.objects.get().why == "placeholder"

        server.messages[1] = message(1)
        time_comes()
        run = look(mailbox)

    assert stored(mailbox) == server.messages
    come = Message.objects.get(uid=1)
    assert (come.pk, come.unreadable) == (shown.pk, "")
    assert (run.added, run.changed) == (0, 1)
    assert mailbox.message_count == Folder.objects.get(mailbox=mailbox).message_count == 2
    assert not FetchDebt.objects.exists()


def test_a_message_that_breaks_the_line_stops_neither_its_folder_nor_itself_for_good(
    db: None, dovecot: Dovecot, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "MOST_MESSAGES", 8)
    server = OddServer({uid: message(uid) for uid in range(1, 41)}, breaks_at=20)
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        for _ in range(3):
            run = look(mailbox)
            if run.state == "done":
                break
        assert set(stored(mailbox)) == set(server.messages) - {20}
        assert FetchDebt.objects.get().uid == 20

        server.breaks_at = None
        time_comes()
        look(mailbox)

    assert stored(mailbox) == server.messages


def test_numbers_that_go_back_and_are_given_again_lose_no_message(db: None, dovecot: Dovecot, look: Look) -> None:
    """A server restored from a backup: UIDs 4 and 5 went to other messages while UIDVALIDITY stayed."""
    server = OddServer({uid: message(uid) for uid in range(1, 6)})
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        look(mailbox)
        server.messages = {uid: message(uid) for uid in (1, 2, 3)}
        an_hour_passes(mailbox)
        look(mailbox)
        assert len(stored(mailbox)) == 5
        server.messages |= {uid: message(100 + uid) for uid in (4, 5, 6, 7)}
        look(mailbox)
        an_hour_passes(mailbox)
        look(mailbox)

    assert stored(mailbox) == server.messages
    assert Message.objects.filter(mailbox=mailbox).count() == 9  # the two that are gone are kept
    assert Folder.objects.get(mailbox=mailbox).suspect_since is None


def test_all_mail_is_followed_because_archived_mail_lies_only_there_and_stars_are_not(
    db: None, dovecot: Dovecot, look: Look
) -> None:
    server = OddServer({1: message(1)}, folders=("INBOX", "All", "Stars", "Spam"))
    server.extra = {"All": "\\All", "Stars": "\\Flagged", "Spam": "\\Junk"}
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        look(mailbox)

    followed = Folder.objects.filter(mailbox=mailbox, followed=True).values_list("name", flat=True)
    assert set(followed) == {"INBOX", "All", "Spam"}


def test_a_poll_that_fails_in_the_middle_keeps_the_chunks_before(
    db: None, dovecot: Dovecot, look: Look, packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "MOST_MESSAGES", 5)
    server = OddServer({uid: message(uid) for uid in range(1, 31)}, breaks_at=12)
    with server.over_tls(dovecot) as running:
        mailbox = at(running.port)
        run = look(mailbox)

    assert (run.state, run.reason, run.added) == ("failed", "connection_lost", 15)  # newest first: 30 … 16
    assert mailbox.state == "delayed"
    assert set(stored(mailbox)) == set(range(16, 31))
