from __future__ import annotations

import hashlib

import pytest

from mailboxes.models import Folder, Mailbox, Message
from mailboxes.services import bodies
from tests.servers.dovecot import Dovecot
from tests.sync.conftest import Look
from tests.sync.mail import message

pytestmark = pytest.mark.both_databases


def stored(mailbox: Mailbox) -> dict[str, list[bytes]]:
    """Folder → the bytes of its messages, read back out of the packs."""
    found: dict[str, list[bytes]] = {}
    for row in Message.objects.filter(mailbox=mailbox).select_related("body__pack", "folder").order_by("uid"):
        assert row.body
        raw = bodies.read(row.body)
        assert row.sha256 == hashlib.sha256(raw).hexdigest()
        assert row.size == len(raw)
        found.setdefault(row.folder.name, []).append(raw)
    return found


def test_every_message_of_every_folder_comes_once_and_byte_for_byte(
    mailbox: Mailbox, dovecot: Dovecot, look: Look
) -> None:
    sent = {"INBOX": range(200), "Sent": range(200, 260), "Kunden/Müller & Söhne": range(260, 300)}
    for folder, numbers in sent.items():
        for number in numbers:
            dovecot.deliver(mailbox.address, message(number), folder)

    run = look(mailbox)

    assert (run.state, run.added) == ("done", 300)
    for folder, found in stored(mailbox).items():
        assert sorted(found) == sorted(message(number) for number in sent[folder])
    assert mailbox.message_count == 300
    assert sum(Folder.objects.filter(mailbox=mailbox).values_list("message_count", flat=True)) == 300

    look(mailbox)
    assert Message.objects.filter(mailbox=mailbox).count() == 300
