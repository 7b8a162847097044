"""What the sink got is what the outbox stored, through a mail server that is not ours (aiosmtpd), by STARTTLS and TLS."""

from __future__ import annotations

import hashlib
import ssl

import pytest

from mailboxes.models import Mailbox, OutboxMessage
from mailboxes.services import bodies
from mailboxes.services.draft import Attachment
from tests.outbox.conftest import TOKEN, Queue, Send
from tests.servers.smtp_sink import SmtpSink

HARD = {
    "dots": {"text": ".\n..\n.QUIT\nRSET\n\n.\n\n"},
    "smuggling": {"text": "a\r.\r\nb\n.\rMAIL FROM:<x@y>\r\n\r.\n"},
    "empty": {"text": ""},
    "umlauts": {"text": "Grüße aus Köln\n" * 50, "subject": "Grüße 日本語 " * 20},
    "html": {"text": "a", "html": "<p>.</p>\n.\n"},
    "attachment": {"attachments": [Attachment("a.bin", "application/octet-stream", bytes(range(256)) * 4000)]},
}


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize("kind", HARD)
def test_every_byte_arrives(
    kind: str, security: str, server_tls: ssl.SSLContext, mailbox: Mailbox, queue: Queue, send: Send
) -> None:
    with SmtpSink(tokens={TOKEN: mailbox.address}, tls=server_tls, implicit=security == "tls") as sink:
        app = mailbox.provider_app
        app.smtp = {"host": "localhost", "port": sink.port, "security": security}
        app.save()

        outbox = send(queue(**HARD[kind]))

    (received,) = sink.messages
    assert outbox.state == OutboxMessage.State.SENT
    assert received.raw == bodies.read(outbox.body)
    assert hashlib.sha256(received.raw).hexdigest() == outbox.body.sha256
    assert received.sender == mailbox.address
