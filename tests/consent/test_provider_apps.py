"""The organisation's own client: presets, what is checked, pinned hosts, and what a change does to permissions given before."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

import audit
from mailboxes import errors
from mailboxes.models import Mailbox, ProviderApp, Token
from mailboxes.providers import GOOGLE, MICROSOFT, OIDC
from mailboxes.services import discovery, links, provider_apps, tokens
from tests.consent.conftest import World, app_data
from tests.consent.test_refreshing import granted
from tests.servers.dovecot import Dovecot

SECRETS = {"client_id": "id", "client_secret": "hush, hush"}


def test_a_preset_fills_in_what_is_left_out(world: World) -> None:
    """Without a network, too: Google's and Microsoft's endpoints are known."""
    app = provider_apps.create(world.tenant, {"name": "G", "preset": "google", **SECRETS}, actor=world.admin)

    app = ProviderApp.objects.get(pk=app.pk)
    assert app.issuer == "https://accounts.google.com" and app.imap == {
        "host": "imap.gmail.com",
        "port": 993,
        "security": "tls",
    }
    assert app.scopes["smtp"] == ["https://mail.google.com/"] and app.auth_method == "client_secret_post"
    assert "oauth2.googleapis.com:443" in app.pinned_hosts
    assert provider_apps.redirect_uri(app) == f"http://localhost:8000/connect/callback/{app.pk}/"
    assert world.deeds()[-1] == "providerapp.created"
    assert "hush" not in repr(list(ProviderApp.objects.filter(pk=app.pk).values()))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"preset": "nobody"}, "preset"),
        ({"preset": "oidc"}, "issuer"),
        ({"preset": "oidc", "issuer": "http://plain.example"}, "issuer"),
        ({"preset": "oidc", "issuer": "https://a.example/?x=1"}, "issuer"),
        ({"preset": "google", "issuer": "https://evil.example"}, "issuer"),
        ({"preset": "google", "imap": {"host": "evil.example", "port": 993}}, "imap"),
        ({"preset": "google", "imap": {"host": "imap.gmail.com", "port": 0}}, "imap"),
        ({"preset": "google", "imap": {"host": "imap.gmail.com", "port": 143, "security": "none"}}, "imap"),
        ({"preset": "google", "imap": {"host": "a b\r\n", "port": 143}}, "imap"),
        ({"preset": "google", "scopes": {"imap": ["two words"]}}, "scopes"),
        ({"preset": "google", "flow": "service_account"}, "flow"),
        ({"preset": "google", "client_secret": ""}, "client_secret"),
        ({"preset": "google", "name": "CONTOSO MAIL"}, "name"),
        ({"preset": "sandbox"}, "issuer"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_field(world: World, data: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        provider_apps.create(world.tenant, {"name": "New", **SECRETS, **data}, actor=world.admin)

    assert field in refused.value.message_dict
    assert ProviderApp.objects.count() == 1


def test_hosts_are_pinned_from_the_discovery(world: World) -> None:
    assert world.app.pinned_hosts == [world.provider.issuer.removeprefix("https://")]


def test_another_issuer_in_the_discovery_is_refused(world: World, dovecot: Dovecot) -> None:
    world.provider.fault("discovery", {"issuer": "https://evil.example"})
    app = provider_apps.create(world.tenant, app_data(world.provider, dovecot) | {"name": "New"}, actor=world.admin)

    assert (app.reason, app.pinned_hosts) == ("discovery_issuer", [])
    with pytest.raises(errors.AppMisconfigured):
        tokens.endpoint(app, "token_endpoint")


@pytest.mark.parametrize("name", ["token_endpoint", "authorization_endpoint", "jwks_uri", "revocation_endpoint"])
@pytest.mark.parametrize("url", ["http://localhost/x", "https://", "ftp://a.example/", "https://u:p@a.example/", 7])
def test_an_endpoint_without_https_is_refused(name: str, url: object) -> None:
    good = {
        "issuer": "https://a.example",
        "token_endpoint": "https://a.example/t",
        "authorization_endpoint": "https://a.example/a",
        "jwks_uri": "https://a.example/k",
    }
    assert discovery.validated(good, OIDC, "https://a.example")

    with pytest.raises(errors.AppMisconfigured) as refused:
        discovery.validated({**good, name: url}, OIDC, "https://a.example")
    assert refused.value.reason == "discovery_incomplete"


def test_changed_hosts_stop_the_app_and_its_mailboxes(world: World) -> None:
    token = granted(world)
    world.provider.fault("discovery", {"token_endpoint": "https://evil.example/token"}, count=1)

    assert not provider_apps.refresh_discovery(world.app)

    app = ProviderApp.objects.get(pk=world.app.pk)
    assert (app.reason, app.reason_detail) == ("discovery_changed", "evil.example:443")
    assert app.discovery["token_endpoint"] == f"{world.provider.issuer}/token"
    assert (world.mailbox().state, world.mailbox().reason) == (Mailbox.State.MISCONFIGURED, "discovery_changed")
    with pytest.raises(errors.AppMisconfigured) as refused:
        tokens.bearer(token.pk)
    assert refused.value.reason == "discovery_changed"
    assert world.provider.seen("token:refresh_token") == 0

    world.provider.clear()
    assert provider_apps.refresh_discovery(ProviderApp.objects.get(pk=app.pk))
    assert tokens.bearer(token.pk)


def test_a_secret_goes_to_pinned_hosts_alone_whatever_the_row_says(world: World) -> None:
    token = granted(world)
    config = dict(world.app.discovery or {}, token_endpoint=f"https://127.0.0.1:{world.provider.port}/token")
    ProviderApp.objects.update(discovery=config)

    with pytest.raises(errors.AppMisconfigured) as refused:
        tokens.bearer(token.pk)

    assert refused.value.reason == "discovery_changed"
    assert world.provider.seen("token:refresh_token") == 0 and not Token.objects.get(pk=token.pk).dead_reason


def test_no_consent_starts_while_the_hosts_differ(world: World, visitor: Client) -> None:
    link = world.link()
    ProviderApp.objects.update(discovered_at=None)
    world.provider.fault("discovery", {"token_endpoint": "https://evil.example/token"}, count=1)

    page = visitor.post(f"/connect/{links.signed(link)}/")

    assert page.status_code == 503 and "endpoints changed" in page.content.decode()


def test_a_permission_never_follows_to_another_server(world: World) -> None:
    token = granted(world)

    provider_apps.change(
        world.app, {"imap": {"host": "imap.evil.example", "port": 993, "security": "tls"}}, actor=world.admin
    )

    row = Token.objects.get(pk=token.pk)
    assert (row.dead_reason, row.access_token, row.refresh_token) == ("host_changed", None, None)
    assert (world.mailbox().state, world.mailbox().reason) == (Mailbox.State.RECONNECT, "host_changed")
    assert world.deeds()[-1] == "providerapp.changed"


def test_a_new_client_secret_wakes_what_waited_for_it(world: World) -> None:
    token = granted(world)
    world.provider.fault("error", "invalid_client")
    with pytest.raises(errors.AppMisconfigured):
        tokens.bearer(token.pk)
    app = ProviderApp.objects.get(pk=world.app.pk)

    provider_apps.change(app, {"client_secret": world.provider.client_secret}, actor=world.admin)

    assert ProviderApp.objects.get(pk=app.pk).reason == ""
    assert tokens.bearer(token.pk)
    assert not Token.objects.get(pk=token.pk).dead_reason


def test_an_app_in_use_is_not_deleted(world: World) -> None:
    granted(world)
    with pytest.raises(provider_apps.InUse):
        provider_apps.delete(world.app, actor=world.admin)

    other = provider_apps.create(world.tenant, {"name": "G", "preset": "google", **SECRETS}, actor=audit.SYSTEM)
    provider_apps.delete(other, actor=world.admin)
    assert not ProviderApp.objects.filter(name="G").exists()
    assert world.deeds()[-1] == "providerapp.deleted"


TENANT = "8b5f1f3c-2a0e-4a3c-9d66-7f3a5b1c2d3e"
COMMON = "https://login.microsoftonline.com/{tenantid}/v2.0"
REAL = COMMON.replace("{tenantid}", TENANT)


def test_microsofts_issuer_is_that_of_the_tokens_own_directory() -> None:
    assert MICROSOFT.issuer_fits("https://login.microsoftonline.com/organizations/v2.0", COMMON)
    assert MICROSOFT.issuer_fits(REAL, REAL) and not MICROSOFT.issuer_fits(REAL, COMMON)
    assert not MICROSOFT.issuer_fits(MICROSOFT.issuer, "https://evil.example/v2.0")
    assert MICROSOFT.issuer_is(COMMON, {"iss": REAL, "tid": TENANT})
    assert not MICROSOFT.issuer_is(COMMON, {"iss": REAL, "tid": TENANT.replace("8", "9")})
    assert not MICROSOFT.issuer_is(COMMON, {"iss": COMMON, "tid": "{tenantid}"})
    assert MICROSOFT.subject_of({"tid": TENANT, "oid": "o", "sub": "s"}) == f"{TENANT}/o"
    assert MICROSOFT.subject_of({"tid": TENANT, "sub": "s"}) == ""


def test_an_unverified_address_is_no_address() -> None:
    assert GOOGLE.accounts_of({"email": "Anna@Example.test", "email_verified": True}) == ["anna@example.test"]
    assert GOOGLE.accounts_of({"email": "anna@example.test", "email_verified": False}) == []


def test_a_number_only_refines_the_words() -> None:
    assert MICROSOFT.reason_for("invalid_grant", "", "AADSTS7000222: The secret is expired") == "client_secret_expired"
    assert MICROSOFT.reason_for("invalid_grant", "", "AADSTS999999: unheard of") == ""
