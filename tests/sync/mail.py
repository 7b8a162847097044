"""Messages of many shapes, the same for the same seed, and the rows of a connected mailbox."""

from __future__ import annotations

import base64
import random
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.models import Tenant
from mailboxes.models import Mailbox, ProviderApp, Token

TOKEN = "token-of-anna"


def message(number: int, *, size: int = 300) -> bytes:
    """Every shape that must come back byte for byte: 8-bit, long lines, dots, NUL-free binary as base64, attachments."""
    rng = random.Random(number)
    subject = rng.choice(["Angebot", "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", "Re: Fwd: Invoice", "", "日本語"])
    head = (
        f"From: =?utf-8?b?QW5uYSBCZXJn?= <anna@example.org>\r\nTo: Ben <ben@example.org>, c{number}@example.net\r\n"
        f"Subject: {subject} {number}\r\nDate: Mon, {1 + number % 27} Jan 2024 10:{number % 60:02}:00 +0100\r\n"
        f"Message-ID: <{number}.{rng.getrandbits(64):x}@example.org>\r\nX-Number: {number}\r\nMIME-Version: 1.0\r\n"
    ).encode()
    text = "\r\n".join(
        ["".join(rng.choices("abcdefgh äöü.", k=rng.randint(0, 90))) for _ in range(size // 40)]
    ).encode()
    if number % 5 == 0:
        blob = base64.encodebytes(rng.randbytes(size)).replace(b"\n", b"\r\n")
        return (
            head + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'
            + text + b"\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n" + blob + b"--b--\r\n"
        )  # fmt: skip
    return head + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text + b"\r\n.\r\n..\r\nend\r\n"


def connected_mailbox(
    address: str = "anna@example.org", *, imap: dict[str, Any], tenant: Tenant | None = None, **columns: Any
) -> Mailbox:
    """A mailbox as a consent leaves it, with a token that lives for a day."""
    tenant = tenant or Tenant.objects.create(name="Contoso")
    app, _ = ProviderApp.objects.get_or_create(
        tenant=tenant,
        name="Provider",
        defaults={
            "preset": "oidc", "issuer": "https://provider.example", "client_id": "mailhub", "imap": imap,
            "pinned_hosts": ["provider.example:443"],
        },
    )  # fmt: skip
    token = Token.objects.create(
        tenant=tenant,
        provider_app=app,
        issuer=app.issuer,
        subject=address,
        access_token=TOKEN,
        refresh_token="refresh-of-anna",
        expires_at=timezone.now() + timedelta(days=1),
    )
    values = {"state": "active", "next_poll_at": timezone.now(), **columns}
    return Mailbox.objects.create(tenant=tenant, provider_app=app, token=token, address=address, **values)
