"""The organisation's own client at a provider: made, changed, looked at again, removed; presets fill in what is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone

import audit
from accounts.models import Tenant
from mailboxes.errors import AppMisconfigured, MailError
from mailboxes.models import Mailbox, ProviderApp, Token
from mailboxes.services import discovery, egress, provider_app_data, states

DISCOVERY_REASONS = ("discovery_changed", "discovery_issuer", "discovery_incomplete", "unreachable", "provider_down")
IDENTITY = ("issuer", "client_id")


class InUse(Exception):
    """Mailboxes still point to it."""


def redirect_uri(app: ProviderApp) -> str:
    """To be registered at the provider; each app has its own, so that a code can't be taken to another (RFC 9700, 4.4.2)."""
    return f"{settings.MAILHUB_BASE_URL}/connect/callback/{app.pk}/"


def create(tenant: Tenant, data: Mapping[str, Any], *, actor: audit.Actor, pk: Any = None) -> ProviderApp:
    """A new app; `data` as in the API's POST /provider-apps. Raises ValidationError with a message a field.

    A provider that cannot be reached now does not stop it: the app then says so, and nothing secret goes anywhere until
    its hosts are pinned. `pk`: the id that a form has already shown in the redirect URI.
    """
    app = ProviderApp(tenant=tenant) if pk is None else ProviderApp(tenant=tenant, pk=pk)
    provider_app_data.apply(app, data, is_new=True)
    _discover(app)
    with transaction.atomic():
        provider_app_data.require_free_name(app)
        app.save(force_insert=True)
        audit.record(
            "providerapp.created", actor=actor, tenant_id=app.tenant_id, target=app, detail=provider_app_data.shown(app)
        )
    return app


def change(app: ProviderApp, data: Mapping[str, Any], *, actor: audit.Actor) -> ProviderApp:
    """Changes the fields that `data` holds. Raises ValidationError.

    Changed hosts are pinned anew only when the client secret is entered again: who does not know it cannot have it sent
    elsewhere. A stored token never follows: another issuer, host, client or mail server ends the permissions given for
    the old one.
    """
    before, places, hosts = provider_app_data.shown(app), _places(app), set(app.pinned_hosts)
    provider_app_data.apply(app, data, is_new=False)
    if app.issuer != before["issuer"]:
        app.discovery, app.discovered_at, app.pinned_hosts = None, None, []
    accepts_hosts = app.reason == "discovery_changed" and bool(data.get("client_secret"))
    app.reason = app.reason_detail = ""
    _discover(app, accepts_hosts=accepts_hosts)
    moved = places != _places(app) or not (discovery.facts(app).locked_hosts or hosts >= set(app.pinned_hosts))
    with transaction.atomic():
        provider_app_data.require_free_name(app)
        app.save()
        if moved:
            _end_all(app, actor)
        else:
            _wake(app)
        after = provider_app_data.shown(app)
        audit.record(
            "providerapp.changed",
            actor=actor,
            tenant_id=app.tenant_id,
            target=app,
            detail={
                "changed": {name: [before[name], after[name]] for name in after if before[name] != after[name]},
                "client_secret": bool(data.get("client_secret")),
                "permissions_ended": moved,
            },
        )
    return app


def delete(app: ProviderApp, *, actor: audit.Actor) -> None:
    """Raises InUse while a mailbox points to it, also a disconnected one: its history names it."""
    with transaction.atomic():
        if app.mailboxes.exists() or app.tokens.exists():
            raise InUse
        audit.record("providerapp.deleted", actor=actor, tenant_id=app.tenant_id, target=app)
        app.delete()


def refresh_discovery(app: ProviderApp, *, actor: audit.Actor = audit.SYSTEM) -> bool:
    """Look at the provider's metadata again ("Check now"); True when all is well. The row says what is not.

    Hosts that differ from the pinned ones stop the app and its mailboxes until somebody saves it with the client secret.
    """
    before = app.reason
    _discover(app)
    with transaction.atomic():
        names = ("discovery", "discovered_at", "pinned_hosts", "reason", "reason_detail", "checked_at")
        ProviderApp.objects.filter(pk=app.pk).update(**{name: getattr(app, name) for name in names})
        if app.reason == "discovery_changed" and before != app.reason:
            error = AppMisconfigured(app.reason_detail, code=app.reason)
            for mailbox in Mailbox.objects.filter(provider_app=app):
                states.from_error(mailbox, error)
            audit.record(
                "providerapp.changed",
                actor=actor,
                tenant_id=app.tenant_id,
                target=app,
                outcome="refused",
                detail={"reason": app.reason, "hosts": app.reason_detail},
            )
        elif before and not app.reason:
            _wake(app)
    return not app.reason


def ensure_discovered(app: ProviderApp, *, older_than_seconds: int = 3600) -> None:
    """Before a consent starts. Raises AppMisconfigured; a provider that is silent now is believed as it was."""
    age = (timezone.now() - app.discovered_at).total_seconds() if app.discovered_at else None
    if age is None or age > older_than_seconds or app.reason in DISCOVERY_REASONS:
        refresh_discovery(app)
    if not app.pinned_hosts or app.reason == "discovery_changed":
        raise AppMisconfigured(app.reason_detail, code=app.reason or "discovery_incomplete")


def ensure_sandbox_app(tenant: Tenant) -> ProviderApp | None:
    """The tenant's app at the built-in sandbox; None while the sandbox is off or has not come up."""
    endpoints = egress.sandbox_endpoints()
    if endpoints is None:
        return None
    found = ProviderApp.objects.filter(tenant=tenant, preset=ProviderApp.Preset.SANDBOX).first()
    if found is not None:
        return found
    data = {
        "name": "Sandbox",
        "preset": "sandbox",
        "client_id": endpoints["client_id"],
        "client_secret": endpoints["client_secret"],
        "exclusive": True,
    }
    return create(tenant, data, actor=audit.SYSTEM)


def _discover(app: ProviderApp, *, accepts_hosts: bool = False) -> None:
    """Fills in the discovery's columns; unsaved. Never raises: what went wrong becomes the app's reason."""
    app.checked_at = timezone.now()
    provider = discovery.facts(app)
    keeps_own_fault = app.reason and app.reason not in DISCOVERY_REASONS
    try:
        found = discovery.fetch(app)
    except MailError as error:
        if app.discovery is None and provider.endpoints:  # known without asking: a laptop without a network still works
            app.discovery, app.pinned_hosts = dict(provider.endpoints), sorted(provider.locked_hosts)
        elif (not keeps_own_fault and app.discovery is None) or (
            isinstance(error, AppMisconfigured) and not keeps_own_fault
        ):
            app.reason, app.reason_detail = error.reason, error.detail
        return
    is_pinned = provider.locked_hosts or (app.pinned_hosts and not accepts_hosts)
    if strangers := discovery.strangers(app, found) if is_pinned else []:
        app.reason, app.reason_detail = "discovery_changed", ", ".join(strangers)[:500]
        return
    app.discovery, app.discovered_at = found, app.checked_at
    app.pinned_hosts = sorted(provider.locked_hosts) or discovery.hosts_of(found)
    if not keeps_own_fault:
        app.reason = app.reason_detail = ""


def _places(app: ProviderApp) -> dict[str, object]:
    """Where and as whom tokens are used: a token never follows a change of it."""
    servers = {name: (app.server(name) or {}).get("host") for name in ("imap", "pop3", "smtp")}
    return {**{name: getattr(app, name) for name in IDENTITY}, **servers}


def _end_all(app: ProviderApp, actor: audit.Actor) -> None:
    """The permissions for the old place: erased, not revoked there, for its endpoints are gone from the row."""
    error_code = "host_changed"
    Token.objects.filter(provider_app=app, dead_reason="").update(
        dead_reason=error_code,
        access_token=None,
        refresh_token=None,
        previous_refresh_token=None,
        refresh_at=None,
        lease_id=None,
        lease_until=None,
    )
    for mailbox in Mailbox.objects.filter(provider_app=app, token__isnull=False).exclude(state__in=states.STOPPED):
        states.change(mailbox, Mailbox.State.RECONNECT, reason=error_code, actor=actor, next_poll_at=None)
        states.drop_lease(mailbox)


def _wake(app: ProviderApp) -> None:
    """What waited for this app is tried at once."""
    now = timezone.now()
    Token.objects.filter(provider_app=app, retry_at__isnull=False).update(retry_at=None, retry_reason="")
    Mailbox.objects.filter(provider_app=app, state=Mailbox.State.MISCONFIGURED).exclude(
        receive=Mailbox.Receive.NONE
    ).update(next_poll_at=now)


def sign_in_host(app: ProviderApp) -> str:
    """The host that an owner will see when he signs in."""
    return urlsplit(str((app.discovery or {}).get("authorization_endpoint", app.issuer))).netloc
