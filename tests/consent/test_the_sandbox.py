"""The same way against the built-in sandbox, whose browser's leg is plain http on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

import audit
from accounts.models import Membership, Tenant, User
from mailboxes import errors
from mailboxes.models import Mailbox, ProviderApp, Token
from mailboxes.services import discovery, links, provider_apps, receipts, revoke, tokens
from mailboxes.services.connect_app import connect_app
from tests.consent.conftest import BASE
from tests.servers.sandbox import Sandbox

ALICE = "alice@sandbox.test"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox().start(tmp_path_factory.mktemp("data"), BASE) as running:
        yield running


@pytest.fixture
def app(db: None, settings: Any, sandbox: Sandbox) -> ProviderApp:
    settings.MAILHUB_SANDBOX = True
    settings.MAILHUB_DATA = sandbox.data_dir
    settings.MAILHUB_BASE_URL = BASE
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    made = provider_apps.ensure_sandbox_app(Tenant.objects.create(name="Contoso"))
    assert made is not None
    return made


@pytest.fixture
def admin(app: ProviderApp) -> User:
    person = User.objects.create_user("mira@contoso.test", "not very secret", name="Mira Hoffmann")
    Membership.objects.create(tenant=app.tenant, user=person, role="owner")
    return person


def consent(client: Client, sandbox: Sandbox, app: ProviderApp, admin: User, user: str = ALICE, **how: Any) -> Any:
    _, url = links.create_link(app.tenant, provider_app=app, address=ALICE, actor=admin)
    path = urlsplit(url).path
    assert client.get(path).status_code == 200
    back = urlsplit(sandbox.consent(client.post(path)["Location"], user, **how))
    return client.get(f"{back.path}?{back.query}", follow=True)


def test_there_is_one_sandbox_app_and_it_is_sound(app: ProviderApp) -> None:
    assert (app.reason, app.preset) == ("", "sandbox")
    assert provider_apps.ensure_sandbox_app(app.tenant) == app
    assert app.discovery["authorization_endpoint"].startswith("http://localhost:")


def test_a_consent_connects_the_mailbox(visitor: Client, sandbox: Sandbox, app: ProviderApp, admin: User) -> None:
    page = consent(visitor, sandbox, app, admin)

    mailbox = Mailbox.objects.get()
    assert page.status_code == 200 and "Connected" in page.content.decode()
    assert (mailbox.state, mailbox.reason) == (Mailbox.State.ACTIVE, "")


def test_the_wrong_person_is_refused(visitor: Client, sandbox: Sandbox, app: ProviderApp, admin: User) -> None:
    page = consent(visitor, sandbox, app, admin, "bob@sandbox.test")

    assert page.status_code == 400 and "bob@sandbox.test" in page.content.decode()
    assert not Token.objects.exists()


def test_a_declined_consent_is_refused(visitor: Client, sandbox: Sandbox, app: ProviderApp, admin: User) -> None:
    page = consent(visitor, sandbox, app, admin, answer="deny")

    assert page.status_code == 400 and "<code>denied</code>" in page.content.decode()


def test_what_was_revoked_there_needs_a_new_consent(
    visitor: Client, sandbox: Sandbox, app: ProviderApp, admin: User
) -> None:
    consent(visitor, sandbox, app, admin)
    token = Token.objects.get()
    assert tokens.bearer(token.pk, newer_than=token.generation).generation == token.generation + 1
    sandbox.revoke_tokens(ALICE)

    with pytest.raises(errors.ConsentNeeded):
        tokens.bearer(token.pk, newer_than=token.generation + 1)

    assert Mailbox.objects.get().state == Mailbox.State.RECONNECT
    consent(visitor, sandbox, app, admin)
    assert Mailbox.objects.get().state == Mailbox.State.ACTIVE


def test_taking_back_revokes_there(visitor: Client, sandbox: Sandbox, app: ProviderApp, admin: User) -> None:
    page = consent(visitor, sandbox, app, admin)
    attempt = receipts.find(page.redirect_chain[-1][0].split("/")[-2])
    assert attempt is not None

    ended = receipts.take_back(attempt, actor=audit.NamedActor("owner", "", ALICE))

    assert ended is not None and ended.revoked


def test_the_loopback_exception_ends_with_the_sandbox(app: ProviderApp, settings: Any) -> None:
    found = dict(app.discovery or {})
    facts = discovery.facts(app)
    assert discovery.validated(found, facts, app.issuer)

    with pytest.raises(errors.AppMisconfigured):
        discovery.validated({**found, "authorization_endpoint": "http://elsewhere.test/authorize"}, facts, app.issuer)
    with pytest.raises(errors.AppMisconfigured):
        discovery.validated({**found, "token_endpoint": "http://localhost:1/token"}, facts, app.issuer)
    settings.MAILHUB_SANDBOX = False
    with pytest.raises(errors.AppMisconfigured):
        discovery.validated(found, discovery.facts(app), app.issuer)


def test_the_organisations_own_client_opens_a_mailbox_without_its_owner(
    app: ProviderApp, admin: User, sandbox: Sandbox
) -> None:
    data = {
        "name": "App only",
        "preset": "sandbox",
        "flow": "client_credentials",
        "client_id": sandbox.client[0],
        "client_secret": sandbox.client[1],
    }
    own = provider_apps.create(app.tenant, data, actor=admin)

    first = connect_app(app.tenant, provider_app=own, address=ALICE, actor=admin)
    second = connect_app(app.tenant, provider_app=own, address="bob@sandbox.test", receive="none", actor=admin)

    assert (first.state, second.state) == (Mailbox.State.ACTIVE, Mailbox.State.ACTIVE), (
        first.reason_detail,
        second.reason_detail,
    )
    assert first.token == second.token and first.token.subject == "" and first.token.refresh_token is None
    generation = first.token.generation
    assert tokens.bearer(first.token.pk, newer_than=generation).generation == generation + 1
    ended = revoke.disconnect(first, actor=admin)
    assert not ended.revoked and "another mailbox" in ended.why
    assert "never revoked" in revoke.disconnect(second, actor=admin).why
    with pytest.raises(ValidationError):
        connect_app(app.tenant, provider_app=app, address=ALICE, actor=admin)
