"""ImapSession against Debian's Dovecot: what a sound server does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest

from mailboxes.errors import CommandRefused, MailError, ServerUnavailable, SignInRefused
from mailboxes.protocols import sasl
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.imap import ImapSession
from mailboxes.protocols.imap_fetch import chunks_by_size
from tests.servers.dovecot import Dovecot
from tests.servers.oauth_stub import Introspection

Open = Callable[[str], ImapSession]


def message(number: int, size: int = 0) -> bytes:
    head = f"From: a@b.test\r\nSubject: number {number}\r\nMessage-ID: <{number}@b.test>\r\n\r\n".encode()
    return head + b"line of text\r\n" * (size // 14) + b".dot\r\n"


@pytest.fixture
def open_session(dovecot: Dovecot, egress: Egress, token_for: Callable[[str], str]) -> Open:
    def make(user: str) -> ImapSession:
        session = ImapSession.connect("localhost", dovecot.imaps, security="tls", egress=egress, deadline=Deadline(20))
        session.sign_in(user, token_for(user))
        return session

    return make


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("length", [40, 2000, 4000])
def test_a_token_signs_in(
    dovecot: Dovecot,
    egress: Egress,
    token_for: Callable[..., str],
    person: str,
    security: Literal["tls", "starttls"],
    mechanism: str,
    length: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sasl, "choose", lambda _: mechanism)
    port = dovecot.imaps if security == "tls" else dovecot.imap

    with ImapSession.connect("localhost", port, security=security, egress=egress, deadline=Deadline(20)) as session:
        result = session.sign_in(person, token_for(person, length))

        assert (result.mechanism, result.outcome, result.reply) == (mechanism, "ok", "OK Logged in")
        assert session.last_sign_in is result
        assert "CONDSTORE" in session.capabilities  # only named after the sign-in


def test_a_refused_token_raises_with_the_servers_reason_and_stays_out_of_every_text(
    dovecot: Dovecot, egress: Egress, person: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "canary-" + "s" * 40
    session = ImapSession.connect("localhost", dovecot.imaps, security="tls", egress=egress, deadline=Deadline(20))

    with session, pytest.raises(SignInRefused) as refused:
        session.sign_in(person, secret)

    assert refused.value.reason == "signin_refused"
    assert "AUTHENTICATIONFAILED" in refused.value.detail
    assert "status" in refused.value.detail
    assert session.last_sign_in is not None
    assert session.last_sign_in.outcome == "refused"
    for text in (
        repr(refused.value),
        refused.value.detail,
        repr(session.last_sign_in),
        repr(vars(session)),
        caplog.text,
    ):
        assert "canary" not in text


def test_a_provider_that_is_down_is_not_a_refusal(
    dovecot: Dovecot, egress: Egress, introspection: Introspection, token_for: Callable[[str], str], person: str
) -> None:
    token = token_for(person)
    introspection.down = True
    try:
        session = ImapSession.connect("localhost", dovecot.imaps, security="tls", egress=egress, deadline=Deadline(20))
        with session, pytest.raises(ServerUnavailable):
            session.sign_in(person, token)
    finally:
        introspection.down = False

    assert session.last_sign_in is not None
    assert session.last_sign_in.outcome == "failed"


def test_the_folders_have_their_roles_and_decoded_names(dovecot: Dovecot, open_session: Open, person: str) -> None:
    for name in ("Projekte/Büro & Co", "日本語", "2026", 'with "quotes"'):
        dovecot.doveadm("mailbox", "create", "-u", person, name)

    with open_session(person) as session:
        folders = {folder.name: folder for folder in session.list_folders(with_status=True)}

        assert {name: folder.role for name, folder in folders.items() if folder.role} == {
            "INBOX": "inbox",
            "Sent": "sent",
            "Drafts": "drafts",
            "Junk": "junk",
            "Trash": "trash",
            "Archive": "archive",
        }
        assert {"Projekte/Büro & Co", "日本語", "2026", 'with "quotes"'} < folders.keys()
        assert all(folder.status for folder in folders.values() if folder.selectable)
        for name in folders:
            if folders[name].selectable:
                assert session.examine(name).exists == 0
                assert session.status(name).uidnext == 1


def test_a_folder_that_is_gone_leaves_the_session_usable(open_session: Open, person: str) -> None:
    with open_session(person) as session:
        with pytest.raises(CommandRefused):
            session.examine("No such folder")

        assert session.examine("INBOX").exists == 0


def test_messages_arrive_byte_for_byte_and_stay_unseen(dovecot: Dovecot, open_session: Open, person: str) -> None:
    sent = [message(number, size) for number, size in enumerate((0, 10, 100_000, 3_000_000))]
    sent.append(b"Subject: literal {5}\r\n\r\n) {3}\r\nabc * 1 FETCH (UID 1)\r\nm1 OK no\r\n")
    for raw in sent:
        dovecot.deliver(person, raw)

    with open_session(person) as session:
        status = session.examine("INBOX")
        uids = session.uids()
        sizes = session.sizes(uids)
        chunks = list(session.fetch_chunks(chunks_by_size(uids, sizes, max_bytes=150_000)))

        assert (status.exists, status.uidnext) == (5, 6)
        assert uids == [1, 2, 3, 4, 5]
        assert [chunk.asked for chunk in chunks] == [(1, 2, 3), (4,), (5,)]
        got = [fetched for chunk in chunks for fetched in chunk.messages]
        assert [fetched.raw for fetched in got] == sent
        assert [fetched.size for fetched in got] == [len(raw) for raw in sent]
        assert all(fetched.flags == () for fetched in got)
        assert all(
            fetched.internaldate and abs(fetched.internaldate.timestamp() - time.time()) < 120 for fetched in got
        )
        assert all(not chunk.missing for chunk in chunks)
        assert session.fetch([1], section="HEADER").messages[0].raw == sent[0].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        assert dict(session.flags()) == dict.fromkeys(uids, ())


def test_a_uid_that_is_gone_is_named_missing(dovecot: Dovecot, open_session: Open, person: str) -> None:
    for number in range(3):
        dovecot.deliver(person, message(number))
    with open_session(person) as session:
        session.examine("INBOX")
        assert session.uids() == [1, 2, 3]
        dovecot.doveadm("expunge", "-u", person, "mailbox", "INBOX", "uid", "2")

        chunk = session.fetch([1, 2, 3, 77])

        assert [fetched.uid for fetched in chunk.messages] == [1, 3]
        assert chunk.missing == [2, 77]


def test_only_changed_flags_are_read(dovecot: Dovecot, open_session: Open, person: str) -> None:
    for number in range(50):
        dovecot.deliver(person, message(number))
    with open_session(person) as session:
        before = session.examine("INBOX").highestmodseq
        dovecot.doveadm("flags", "add", "-u", person, "\\Seen $Label", "mailbox", "INBOX", "uid", "7,9")
        after = session.examine("INBOX").highestmodseq

        changed = list(session.flags(changed_since=before))

        assert before is not None
        assert after is not None
        assert after > before
        assert changed == [(7, ("$Label", "\\Seen")), (9, ("$Label", "\\Seen"))]
        assert list(session.flags(changed_since=after)) == []
        assert list(session.flags([8, 9])) == [(8, ()), (9, ("$Label", "\\Seen"))]


@pytest.mark.parametrize("esearch", [True, False])
def test_uids_are_listed_in_windows(
    dovecot: Dovecot, open_session: Open, person: str, monkeypatch: pytest.MonkeyPatch, esearch: bool
) -> None:
    monkeypatch.setattr("mailboxes.protocols.imap.SEARCH_WINDOW", 4)
    for number in range(11):
        dovecot.deliver(person, message(number))
    with open_session(person) as session:
        session.examine("INBOX")
        dovecot.doveadm("expunge", "-u", person, "mailbox", "INBOX", "uid", "2:4,8")
        session.examine("INBOX")
        if not esearch:
            session.capabilities -= {"ESEARCH"}

        assert session.uids() == [1, 5, 6, 7, 9, 10, 11]
        assert session.uids(first=6, last=10) == [6, 7, 9, 10]
        assert session.uids(first=12) == []  # "12:*" names 11 on the wire


def test_mail_that_comes_later_is_seen_by_noop(dovecot: Dovecot, open_session: Open, person: str) -> None:
    with open_session(person) as session:
        session.examine("INBOX")
        dovecot.deliver(person, message(1))
        session.noop()

        assert session.opened is not None
        assert session.opened.exists == 1
        assert session.uids() == [1]


def test_a_generator_left_early_closes_the_session(dovecot: Dovecot, open_session: Open, person: str) -> None:
    for number in range(6):
        dovecot.deliver(person, message(number))
    session = open_session(person)
    session.examine("INBOX")

    coming = session.fetch_chunks([[1, 2], [3, 4], [5, 6]])
    assert [fetched.uid for fetched in next(coming).messages] == [1, 2]
    coming.close()

    assert session.closed
    session.logout()  # says nothing, hangs nowhere
    with pytest.raises(MailError):
        session.noop()


def test_the_end_of_the_deadline_ends_the_session(open_session: Open, person: str) -> None:
    session = open_session(person)
    session.deadline = Deadline(0.0)

    with pytest.raises(MailError):
        session.list_folders()
    assert session.closed


def test_loopback_is_refused_where_nobody_allowed_it(dovecot: Dovecot, egress: Egress) -> None:
    closed = replace(egress, allowed_networks=())

    with pytest.raises(MailError) as refused:
        ImapSession.connect("localhost", dovecot.imaps, security="tls", egress=closed, deadline=Deadline(5))

    assert refused.value.reason == "unreachable"
