from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.utils import timezone

import audit
from accounts.models import Tenant
from mailboxes.models import Mailbox, OutboxMessage, ProviderApp, Token
from mailboxes.services import outbox as outbox_service
from mailboxes.services import send_lease
from mailboxes.services.deliver import deliver
from mailboxes.services.draft import Draft
from tests.outbox.faulty_smtp import FaultySmtp

TOKEN = "token-of-anna"
PERSON = audit.NamedActor("person", "0", "ada@contoso.example")


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def authority_path(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def smtp(server_tls: ssl.SSLContext) -> Iterator[FaultySmtp]:
    with FaultySmtp(server_tls) as server:
        yield server


@pytest.fixture(autouse=True)
def reachable(settings: Any, authority_path: Path, tmp_path: Path) -> None:
    """Mailhub may reach the test's servers and trusts them; packs lie in a folder of the test."""
    settings.MAILHUB_ALLOWED_NETWORKS = [(ip_network("127.0.0.0/8"), ""), (ip_network("::1/128"), "")]
    settings.MAILHUB_CA_BUNDLE = authority_path
    settings.MAILHUB_SANDBOX = False
    settings.STORAGES = settings.STORAGES | {
        "packs": {**settings.STORAGES["packs"], "OPTIONS": {"location": tmp_path / "packs"}}
    }


def connected_mailbox(port: int, address: str = "anna@contoso.example", **columns: Any) -> Mailbox:
    """As a consent leaves it, with a token that lives for a day; its SMTP server is on localhost."""
    tenant = columns.pop("tenant", None) or Tenant.objects.create(name="Contoso")
    app, _ = ProviderApp.objects.get_or_create(
        tenant=tenant,
        name="Provider",
        defaults={
            "preset": "oidc",
            "issuer": "https://provider.example",
            "client_id": "mailhub",
            "smtp": {"host": "localhost", "port": port, "security": "tls"},
            "discovery": {"token_endpoint": "https://localhost:1/token"},  # nobody is there: tokens are as they are
            "pinned_hosts": ["localhost:1"],
        },
    )
    token = Token.objects.create(
        tenant=tenant,
        provider_app=app,
        issuer=app.issuer,
        subject=address,
        access_token=TOKEN,
        refresh_token="refresh-of-anna",
        expires_at=timezone.now() + timedelta(days=1),
    )
    values = {"state": "active", **columns}
    return Mailbox.objects.create(tenant=tenant, provider_app=app, token=token, address=address, **values)


@pytest.fixture
def mailbox(db: None, smtp: FaultySmtp) -> Mailbox:
    return connected_mailbox(smtp.port)


Queue = Callable[..., OutboxMessage]
Send = Callable[..., OutboxMessage]


@pytest.fixture
def queue(mailbox: Mailbox) -> Queue:
    def queue(**fields: Any) -> OutboxMessage:
        key = fields.pop("idempotency_key", None)
        sender = fields.pop("mailbox", mailbox)
        draft = Draft(**{"to": ["bob@example.org"], "subject": "Hello", "text": "Hi\n", **fields})
        return outbox_service.queue(sender, draft, actor=PERSON, idempotency_key=key)

    return queue


@pytest.fixture
def send() -> Send:
    """One try, as a job makes it."""

    def send(outbox: OutboxMessage) -> OutboxMessage:
        claim = send_lease.claim_one(outbox, timezone.now())
        assert claim
        own = send_lease.take(claim.mailbox_id, claim.lease_id)
        assert own
        deliver(own)
        outbox.refresh_from_db()
        return outbox

    return send


def stages(outbox: OutboxMessage) -> list[str]:
    return [attempt.stage for attempt in outbox.attempts.order_by("at", "id")]
