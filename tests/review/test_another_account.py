# ruff: noqa: F811 - fixtures of other folders are imported by name
"""The account behind an address changes, and its numbers look like those we know."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from audit import SYSTEM
from mailboxes.models import ConsentAttempt, Folder, Mailbox, Message, ProviderApp, Token
from mailboxes.services import bodies, switch
from tests.servers.dovecot import Dovecot
from tests.sync.conftest import Look, dovecot, introspection, look, packs, reachable  # noqa: F401 - fixtures
from tests.sync.mail import TOKEN, connected_mailbox, message
from tests.sync.odd_server import OddServer
from tests.sync.test_servers_that_change import an_hour_passes

pytestmark = [pytest.mark.usefixtures("db", "reachable", "packs"), pytest.mark.both_databases]


def test_mail_of_the_new_account_is_read_although_uidvalidity_is_the_same(dovecot: Dovecot, look: Look) -> None:
    """UIDVALIDITY 1 is what many servers give every INBOX."""
    old = OddServer({uid: message(uid) for uid in range(1, 6)}, uidvalidity=1)
    new = OddServer({uid: message(100 + uid) for uid in range(1, 11)}, uidvalidity=1)
    with old.over_tls(dovecot) as first, new.over_tls(dovecot) as second:
        mailbox = connected_mailbox(
            imap={"host": "localhost", "port": first.port, "security": "tls"},
            pinned_issuer="https://provider.example", pinned_subject="old",
        )  # fmt: skip
        look(mailbox)
        del old.messages[3]  # a number that counts as gone may mean another message as well
        an_hour_passes(mailbox)
        look(mailbox)
        app = ProviderApp.objects.create(
            tenant=mailbox.tenant, name="Other", preset="oidc", issuer="https://other.example", client_id="mailhub",
            imap={"host": "localhost", "port": second.port, "security": "tls"}, pinned_hosts=["other.example:443"],
        )  # fmt: skip
        token = Token.objects.create(
            tenant=mailbox.tenant, provider_app=app, issuer=app.issuer, subject="new", access_token=TOKEN,
            refresh_token="r", expires_at=timezone.now() + timedelta(days=1),
        )  # fmt: skip
        attempt = ConsentAttempt(
            tenant=mailbox.tenant, mailbox=mailbox, provider_app=app, receive="imap", send=False, scopes=[],
            state_hash="x", nonce="y",
        )  # fmt: skip
        with transaction.atomic():
            switch.to_connected(mailbox, attempt, token, None, SYSTEM)
        for _ in range(2):
            look(mailbox)

    rows = Message.objects.filter(mailbox=mailbox, gone_at=None, uid__isnull=False).select_related("body__pack")
    assert {row.uid: bodies.read(row.body) for row in rows if row.body} == new.messages
    assert Message.objects.filter(mailbox=mailbox).count() == 15
    assert Mailbox.objects.get().message_count == Folder.objects.get().message_count == 10


def test_numbers_of_deleted_messages_that_are_given_again_are_new_messages(dovecot: Dovecot, look: Look) -> None:
    """4 and 5 were deleted, then the server was restored from an older backup and gave 4 to a new message."""
    server = OddServer({uid: message(uid) for uid in range(1, 6)})
    with server.over_tls(dovecot) as running:
        mailbox = connected_mailbox(imap={"host": "localhost", "port": running.port, "security": "tls"})
        look(mailbox)
        server.messages, server.uidnext = {uid: message(uid) for uid in (1, 2, 3)}, 6
        an_hour_passes(mailbox)
        look(mailbox)
        assert Message.objects.filter(gone_at=None).count() == 3
        server.messages[4], server.uidnext = message(104), 5
        an_hour_passes(mailbox)
        look(mailbox)
        an_hour_passes(mailbox)
        look(mailbox)

    rows = Message.objects.filter(mailbox=mailbox, gone_at=None, uid__isnull=False).select_related("body__pack")
    assert {row.uid: bodies.read(row.body) for row in rows if row.body} == server.messages
