"""The real servers for protocol tests: one Dovecot for the run, its introspection endpoint and the sink it relays to."""

from __future__ import annotations

import itertools
import os
import ssl
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from mailboxes.protocols.egress import Egress
from tests.servers.dovecot import Dovecot, ServerMissing, ensure_installed
from tests.servers.oauth_stub import Introspection
from tests.servers.smtp_sink import SmtpSink

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def authority_path(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """For servers on localhost."""
    return context_for(authority, "localhost", "127.0.0.1")


def context_for(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture(scope="session")
def egress(authority_path: Path) -> Egress:
    """Loopback is allowed, and the authority of the test servers is trusted beside the system's."""
    return Egress(allowed_networks=LOOPBACK, ca_bundle=authority_path)


@pytest.fixture(scope="session")
def introspection() -> Iterator[Introspection]:
    with Introspection() as stub:
        yield stub


@pytest.fixture(scope="session")
def relay_sink() -> Iterator[SmtpSink]:
    """Where Dovecot's submission hands mail on."""
    with SmtpSink() as sink:
        yield sink


@pytest.fixture(scope="session")
def dovecot(authority: trustme.CA, introspection: Introspection, relay_sink: SmtpSink) -> Iterator[Dovecot]:
    try:
        ensure_installed()
    except ServerMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    with Dovecot(
        introspection_url=introspection.url,
        client_id=introspection.client_id,
        client_secret=introspection.client_secret,
        relay=("127.0.0.1", relay_sink.port),
        ca=authority,
    ) as server:
        yield server


@pytest.fixture
def token_for(introspection: Introspection) -> Callable[[str], str]:
    """A token that the mail server takes for this account."""

    def make(user: str, length: int = 40) -> str:
        token = f"token-of-{user}-".replace("@", "-at-").ljust(length, "x")
        introspection.tokens[token] = user
        return token

    return make


_people = itertools.count(1)


@pytest.fixture
def person() -> str:
    """A fresh account with an empty mailbox."""
    return f"person{next(_people)}@example.test"
