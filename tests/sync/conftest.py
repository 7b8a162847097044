from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from django.utils import timezone

from mailboxes.models import Mailbox, SyncRun
from mailboxes.services import leases
from mailboxes.services.poll import poll
from tests.servers.dovecot import Dovecot
from tests.servers.oauth_stub import Introspection
from tests.sync.mail import TOKEN, connected_mailbox

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def introspection() -> Iterator[Introspection]:
    with Introspection() as stub:
        yield stub


@pytest.fixture(scope="session")
def dovecot(introspection: Introspection) -> Iterator[Dovecot]:
    with Dovecot(introspection.url, introspection.client_id, introspection.client_secret) as server:
        yield server


@pytest.fixture
def reachable(settings: Any, dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Mailhub may reach the test's server and trusts it; packs lie in a folder of the test."""
    settings.MAILHUB_ALLOWED_NETWORKS = [(ip_network("127.0.0.0/8"), "")]
    settings.MAILHUB_CA_BUNDLE = dovecot.ca_path
    settings.MAILHUB_SANDBOX = False


@pytest.fixture
def packs(settings: Any, tmp_path: Any) -> Any:
    settings.STORAGES = settings.STORAGES | {
        "packs": {**settings.STORAGES["packs"], "OPTIONS": {"location": tmp_path / "packs"}}
    }
    return tmp_path / "packs"


@pytest.fixture
def address(introspection: Introspection) -> str:
    """An account of its own at the server."""
    name = f"anna{next(_numbers)}@example.org"
    introspection.tokens[TOKEN] = name
    return name


@pytest.fixture
def mailbox(db: None, dovecot: Dovecot, reachable: None, packs: Any, address: str) -> Mailbox:
    return connected_mailbox(address, imap={"host": dovecot.host, "port": dovecot.imaps, "security": "tls"})


Look = Callable[..., SyncRun]


@pytest.fixture
def look() -> Look:
    """Polls the mailbox until nothing is left, as the dispatcher and a worker would; answers the last run."""

    def look(mailbox: Mailbox, **options: Any) -> SyncRun:
        while True:
            claim = leases.claim_one(mailbox.pk, timezone.now())
            assert claim
            own = leases.take(claim.mailbox_id, claim.lease_id)
            assert own
            run = poll(own, **options)
            mailbox.refresh_from_db()
            if mailbox.next_poll_at is None or mailbox.next_poll_at > timezone.now():
                return run

    return look
