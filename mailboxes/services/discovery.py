"""What a provider says of itself (OpenID Connect Discovery 1.0), checked, and its hosts pinned.

Client secrets, codes and refresh tokens go only where `endpoint()` says, and that is always a pinned host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from accounts.models import Tenant
from mailboxes.errors import AppMisconfigured, ProtocolFault, ServerUnavailable
from mailboxes.models import ProviderApp
from mailboxes.protocols.http import mail_error
from mailboxes.providers import Provider, by_preset
from mailboxes.services import egress

REQUIRED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
SECRET = ("token_endpoint", "revocation_endpoint", "introspection_endpoint")  # where secrets and tokens go
PINNED = (*SECRET, "jwks_uri")
KEPT = (
    "issuer",
    "authorization_endpoint",
    *PINNED,
    "scopes_supported",
    "authorization_response_iss_parameter_supported",
    "token_endpoint_auth_methods_supported",
)


def facts(app: ProviderApp) -> Provider:
    """What is known of the provider behind this app."""
    return by_preset(app.preset, egress.sandbox_endpoints())


def read_json(tenant: Tenant, url: str) -> dict[str, Any]:
    """A JSON object from a provider. Raises MailError."""
    with egress.http_session(tenant) as session:
        try:
            answer = session.get(url, headers={"Accept": "application/json"})
            if answer.status_code >= 500 or answer.status_code == 429:
                raise ServerUnavailable(f"HTTP {answer.status_code}")
            if answer.status_code != 200:
                raise ProtocolFault(f"HTTP {answer.status_code}")
            found = answer.json()
        except requests.exceptions.JSONDecodeError:
            raise ProtocolFault("the answer is no JSON") from None
        except requests.RequestException as error:
            raise mail_error(error) from None
    if not isinstance(found, dict):
        raise ProtocolFault("the answer is no JSON object")
    return found


def fetch(app: ProviderApp) -> dict[str, Any]:
    """The provider's metadata now, validated; only what Mailhub uses of it.

    Raises AppMisconfigured (discovery_issuer, discovery_incomplete) or what kept us from reading it.
    """
    provider = facts(app)
    try:
        found = read_json(app.tenant, app.issuer.rstrip("/") + "/.well-known/openid-configuration")
    except ProtocolFault as error:
        raise AppMisconfigured(error.detail, code="discovery_incomplete") from None
    return validated(found, provider, app.issuer)


def validated(found: Mapping[str, Any], provider: Provider, issuer: str) -> dict[str, Any]:
    """Raises AppMisconfigured: another issuer (the mix-up of RFC 9700, 4.4), a missing endpoint, one without https."""
    announced = found.get("issuer")
    if not isinstance(announced, str) or not provider.issuer_fits(issuer, announced):
        raise AppMisconfigured(f"issuer: {str(announced)[:200]}", code="discovery_issuer")
    for name in ("authorization_endpoint", *PINNED):
        url = found.get(name)
        if url is None and name not in REQUIRED:
            continue
        if not _acceptable(url, loopback=provider.loopback_authorization and name == "authorization_endpoint"):
            raise AppMisconfigured(f"{name}: {str(url)[:200]}", code="discovery_incomplete")
    return {name: found[name] for name in KEPT if found.get(name) is not None}


def _acceptable(url: object, *, loopback: bool) -> bool:
    if not isinstance(url, str) or len(url) > 1000:
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (loopback and parts.scheme == "http" and host in ("localhost", "127.0.0.1"))


def host_of(url: str) -> str:
    """host:port of an endpoint, as it is pinned."""
    parts = urlsplit(url)
    return f"{(parts.hostname or '').rstrip('.')}:{parts.port or 443}"


def hosts_of(config: Mapping[str, Any]) -> list[str]:
    """The hosts to be pinned: those that secrets and tokens go to, and the one whose keys we believe."""
    return sorted({host_of(config[name]) for name in PINNED if config.get(name)})


def strangers(app: ProviderApp, config: Mapping[str, Any]) -> list[str]:
    """Hosts of this discovery that may not be used: not locked for the provider, or else not those pinned."""
    allowed = facts(app).locked_hosts or frozenset(app.pinned_hosts)
    return [host for host in hosts_of(config) if host not in allowed]


def endpoint(app: ProviderApp, name: str) -> str:
    """The app's endpoint on a pinned host. Raises AppMisconfigured; for an endpoint that the provider lacks, KeyError."""
    config = app.discovery or {}
    if app.reason == "discovery_changed" or not app.pinned_hosts:
        raise AppMisconfigured(code=app.reason or "discovery_incomplete")
    if name in REQUIRED and name not in config:
        raise AppMisconfigured(name, code="discovery_incomplete")
    url: str = config[name]
    if host_of(url) not in app.pinned_hosts:
        raise AppMisconfigured(host_of(url), code="discovery_changed")
    return url
