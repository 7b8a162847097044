"""An independent provider, and a Dovecot that asks it about each token: both real processes, once for the run."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from django.test import Client

import audit
from accounts import second_factor
from accounts.models import Membership, Tenant, User
from mailboxes.models import ConnectLink, ConsentAttempt, Mailbox, ProviderApp, Token
from mailboxes.services import links, provider_apps
from tests.servers.dovecot import Dovecot, ServerMissing
from tests.servers.oidc_provider import OidcProvider
from tests.servers.smtp_sink import SmtpSink

BASE = "http://localhost:8000"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def running_provider(authority: trustme.CA) -> Iterator[OidcProvider]:
    try:
        with OidcProvider(ca=authority) as provider:
            yield provider
    except ServerMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture
def provider(running_provider: OidcProvider) -> OidcProvider:
    """Without faults of the test before."""
    running_provider.clear()
    running_provider.lives(AccessToken=3600)
    return running_provider


@pytest.fixture(scope="session")
def dovecot(authority: trustme.CA, running_provider: OidcProvider) -> Iterator[Dovecot]:
    with (
        SmtpSink() as sink,
        Dovecot(
            introspection_url=running_provider.introspection_url,
            client_id=running_provider.mail_server[0],
            client_secret=running_provider.mail_server[1],
            introspection_ca=running_provider.ca_path,
            relay=("127.0.0.1", sink.port),
            ca=authority,
        ) as server,
    ):
        yield server


@pytest.fixture
def reachable(settings: Any, running_provider: OidcProvider) -> None:
    settings.MAILHUB_ALLOWED_NETWORKS = [(ip_network("127.0.0.0/8"), ""), (ip_network("::1/128"), "")]
    settings.MAILHUB_CA_BUNDLE = running_provider.ca_path
    settings.MAILHUB_SANDBOX = False
    settings.MAILHUB_BASE_URL = BASE
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@dataclass
class World:
    """A tenant with its administrator and its app at the independent provider, and somebody who owns a mailbox."""

    tenant: Tenant
    admin: User
    app: ProviderApp
    provider: OidcProvider
    address: str

    def link(self, address: str = "", **asked: Any) -> ConnectLink:
        asked = {"provider_app": self.app, "actor": self.admin, **asked}
        return links.create_link(self.tenant, address=address or self.address, **asked)[0]

    def person(self, login: str = "", **claims: Any) -> str:
        return self.provider.account(login or f"person{next(_numbers)}@example.test", **claims)

    def press_go(self, visitor: Client, link: ConnectLink) -> str:
        """The owner reads the page and goes on; where the browser is sent to."""
        path = f"/connect/{links.signed(link)}/"
        assert visitor.get(path).status_code == 200
        answer = visitor.post(path)
        assert answer.status_code == 302, answer.content.decode()
        return str(answer["Location"])

    def connect(self, visitor: Client, link: ConnectLink, login: str = "", **consent: Any) -> Any:
        """All the way; the last page."""
        back = self.provider.consent(self.press_go(visitor, link), login or self.address, **consent)
        return self.come_back(visitor, back)

    def come_back(self, visitor: Client, url: str, *, follow: bool = True) -> Any:
        parts = urlsplit(url)
        return visitor.get(f"{parts.path}?{parts.query}", follow=follow)

    def mailbox(self, address: str = "") -> Mailbox:
        return Mailbox.objects.select_related("token").get(tenant=self.tenant, address__iexact=address or self.address)

    def nothing_is_stored(self) -> bool:
        return not Token.objects.exists() and self.mailbox().token_id is None

    def last_attempt(self) -> ConsentAttempt:
        return ConsentAttempt.objects.latest("created_at")

    def deeds(self) -> list[str]:
        from audit.models import AuditEvent

        return list(AuditEvent.objects.filter(chain=self.tenant.pk).order_by("seq").values_list("action", flat=True))


def app_data(provider: OidcProvider, dovecot: Dovecot) -> dict[str, Any]:
    return {
        "name": "Contoso Mail",
        "preset": "oidc",
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "client_secret": provider.client_secret,
        "imap": {"host": "localhost", "port": dovecot.imaps, "security": "tls"},
        "smtp": {"host": "localhost", "port": dovecot.submission, "security": "starttls"},
        "scopes": {"imap": ["mail.imap"], "pop3": ["mail.pop"], "smtp": ["mail.smtp"]},
    }


@pytest.fixture
def world(db: None, reachable: None, provider: OidcProvider, dovecot: Dovecot) -> World:
    return make_world(provider, dovecot)


@pytest.fixture
def committed_world(transactional_db: None, reachable: None, provider: OidcProvider, dovecot: Dovecot) -> World:
    """The same, seen by other threads too."""
    return make_world(provider, dovecot)


def make_world(provider: OidcProvider, dovecot: Dovecot) -> World:
    tenant = Tenant.objects.create(name="Contoso Ltd")
    admin = User.objects.create_user("mira@contoso.test", "not very secret", name="Mira Hoffmann", is_demo=True)
    Membership.objects.create(tenant=tenant, user=admin, role="admin", may_read_mail=True)
    app = provider_apps.create(tenant, app_data(provider, dovecot), actor=audit.SYSTEM)
    assert not app.reason, (app.reason, app.reason_detail)
    address = provider.account(f"anna{next(_numbers)}@example.test")
    return World(tenant, admin, app, provider, address)


def new_visitor(**options: Any) -> Client:
    return Client(SERVER_NAME="localhost", **options)


@pytest.fixture
def visitor() -> Client:
    """The browser of somebody without an account here."""
    return new_visitor()


@pytest.fixture
def admins_browser(world: World) -> Client:
    client = new_visitor()
    client.force_login(world.admin)
    session = client.session
    session[second_factor.SET_UP_KEY] = session[second_factor.SKIPPED_KEY] = str(world.admin.pk)
    session.save()
    return client
