"""A provider app's fields as forms and the API give them: filled in from the preset, and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db.models.functions import Lower

from audit.canonical import JSON
from mailboxes.models import ProviderApp
from mailboxes.providers import Provider
from mailboxes.services import discovery

PROTOCOLS = ("imap", "pop3", "smtp")
SHOWN = ("name", "preset", "flow", "issuer", "client_id", "auth_method", *PROTOCOLS, "scopes", "exclusive")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.?", re.I)
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, 3.3


def apply(app: ProviderApp, data: Mapping[str, Any], *, is_new: bool) -> None:
    """Writes `data` into the unsaved row; what a new one leaves out comes from its preset. Raises ValidationError."""
    faults: dict[str, str] = {}

    def take(name: str, read: Callable[[Any], Any]) -> None:
        if name not in data and not is_new:
            return
        try:
            setattr(app, name, read(data.get(name)))
        except ValueError as fault:
            faults[name] = str(fault)

    if is_new:
        take("preset", _one_of(ProviderApp.Preset.values, None))
    elif data.get("preset", app.preset) != app.preset:
        faults["preset"] = "The preset stays what it is; make another provider app."
    if faults:
        raise ValidationError(faults)
    if data.get("flow") == "service_account":
        raise ValidationError({"flow": "Service accounts are not supported yet."})
    provider, issuer = discovery.facts(app), app.issuer
    take("name", _text("name", 80))
    take("flow", _one_of(ProviderApp.Flow.values, ProviderApp.Flow.AUTHORIZATION_CODE))
    take("issuer", _issuer(provider))
    take("client_id", _text("client id", 300))
    take("auth_method", _one_of(ProviderApp.AuthMethod.values, provider.auth_method))
    for protocol in PROTOCOLS:
        take(protocol, _server(provider, protocol))
    take("scopes", _scopes(provider, app))
    take("exclusive", bool)
    take("secret_expires_at", _day)
    secret = data.get("client_secret")
    if secret:
        if not isinstance(secret, str) or len(secret) > 4000 or not secret.isprintable():
            faults["client_secret"] = "This cannot be a client secret."  # noqa: S105
        else:
            app.client_secret = secret  # type: ignore[assignment]  # wrapped and hidden at once by its descriptor
    elif not is_new and app.issuer != issuer and not provider.locked_hosts:
        faults["client_secret"] = "Enter the client secret again: from now on it goes to another issuer."  # noqa: S105
    elif is_new:
        faults["client_secret"] = "A client secret is needed: else anybody could pose as this client."  # noqa: S105
    if faults:
        raise ValidationError(faults)


def require_free_name(app: ProviderApp) -> None:
    """Raises ValidationError."""
    named = ProviderApp.objects.filter(tenant_id=app.tenant_id).annotate(lower=Lower("name"))
    if named.filter(lower=app.name.lower()).exclude(pk=app.pk).exists():
        raise ValidationError({"name": "There is a provider app of this name already."})


def shown(app: ProviderApp) -> dict[str, JSON]:
    """For the audit log: everything but the secret."""
    values: dict[str, JSON] = {name: getattr(app, name) for name in SHOWN}
    values["secret_expires_at"] = app.secret_expires_at.isoformat() if app.secret_expires_at else None
    return values


def _text(what: str, longest: int) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = value.strip() if isinstance(value, str) else ""
        if not text:
            raise ValueError(f"A {what} is needed.")
        if len(text) > longest or not text.isprintable():
            raise ValueError(f"This cannot be a {what}.")
        return text

    return read


def _one_of(values: list[Any], default: Any) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        chosen = value or default
        if chosen not in values:
            raise ValueError(f"Choose one of: {', '.join(values)}.")
        return str(chosen)

    return read


def _issuer(provider: Provider) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        issuer = (value or provider.issuer or "").strip() if isinstance(value or "", str) else ""
        parts = urlsplit(issuer)
        if not issuer:
            words = "The sandbox is not running." if provider.preset == "sandbox" else "The issuer's address is needed."
            raise ValueError(words)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("The issuer must be an https:// address without a query.")
        if provider.issuer and urlsplit(provider.issuer).netloc != parts.netloc:
            raise ValueError(f"An issuer of {provider.name} lies at https://{urlsplit(provider.issuer).netloc}/.")
        return issuer

    return read


def _server(provider: Provider, protocol: str) -> Callable[[Any], dict[str, Any] | None]:
    known = provider.servers.get(protocol)

    def read(value: Any) -> dict[str, Any] | None:
        if value is None or value == {}:
            return known.as_json() if known else None
        if not isinstance(value, Mapping):
            raise ValueError("Give host, port and security.")  # noqa: TRY004
        host, port, security = value.get("host"), value.get("port"), value.get("security", "tls")
        if not isinstance(host, str) or not _HOST.fullmatch(host.strip()):
            raise ValueError("This is no host name.")
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
            raise ValueError("The port is a number from 1 to 65535.")
        if security not in ("tls", "starttls"):
            raise ValueError("Security is tls or starttls: tokens never go over an open line.")
        host = host.strip().lower()
        if known and provider.locked_hosts and provider.preset != "sandbox" and host not in _hosts(provider):
            raise ValueError(f"{provider.name}'s tokens go to {known.host} alone.")
        return {"host": host, "port": port, "security": security}

    return read


def _hosts(provider: Provider) -> set[str]:
    return {server.host for server in provider.servers.values()} | set(provider.other_servers)


def _scopes(provider: Provider, app: ProviderApp) -> Callable[[Any], dict[str, list[str]]]:
    def read(value: Any) -> dict[str, list[str]]:
        given = value or {}
        if not isinstance(given, Mapping) or not set(given) <= set(PROTOCOLS):
            raise ValueError('Scopes are given by protocol: {"imap": […], "pop3": […], "smtp": […]}.')
        found: dict[str, list[str]] = {}
        for protocol in PROTOCOLS:
            listed = given.get(protocol)
            if listed is None:
                listed = provider.scopes.get(protocol, ())
            if not isinstance(listed, (list, tuple)) or not all(
                isinstance(scope, str) and _SCOPE.fullmatch(scope) for scope in listed
            ):
                raise ValueError("A scope is a word without spaces and quotes.")
            found[protocol] = list(dict.fromkeys(listed))
        return found

    return read


def _day(value: Any) -> date | None:
    if not value:
        return None
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("A date like 2027-05-03.") from None
