"""Who signed in: an id_token believed only after everything about it was checked (OpenID Connect Core 1.0, 3.1.3.7)."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any

import jwt
from django.core.cache import cache
from django.views.decorators.debug import sensitive_variables

from mailboxes.errors import MailError
from mailboxes.models import ProviderApp
from mailboxes.services import discovery
from mailboxes.services.refused import Refused

KINDS = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC"}  # asymmetric ones alone: no `none`, no HMAC by a public key
ALGORITHMS = list(KINDS)
LEEWAY = 60  # seconds that clocks may differ
OLDEST = 600  # seconds since it was issued
KEYS_LIFE = 3600  # seconds that a provider's keys are kept
REFETCH_PAUSE = 60  # seconds: an unknown key id costs the provider one look a minute at most
MOST_KEYS = 50


@sensitive_variables()
def verify(raw: str, app: ProviderApp, *, nonce: str) -> dict[str, Any]:
    """The claims. Raises Refused("id_token"), saying which check failed, or MailError when the keys can't be read."""
    config = app.discovery or {}
    try:
        key = _signing_key(app, jwt.get_unverified_header(raw))
        claims: dict[str, Any] = jwt.decode(
            raw,
            key,
            algorithms=ALGORITHMS,
            audience=app.client_id,
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat"], "strict_aud": True, "verify_iss": False},
        )
    except (jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
        raise Refused("id_token", type(error).__name__) from None
    if not discovery.facts(app).issuer_is(str(config.get("issuer", "")), claims):
        raise Refused("id_token", "another issuer")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise Refused("id_token", "another nonce")
    if claims["iat"] < time.time() - OLDEST:
        raise Refused("id_token", "issued too long ago")
    return claims


def _signing_key(app: ProviderApp, header: Mapping[str, Any]) -> jwt.PyJWK:
    """The provider's key of that id, by what we keep of its keys, else by a fresh look."""
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise Refused("id_token", "algorithm")
    for refetch in (False, True):
        fitting = [key for key in _keys(app, refetch=refetch) if _suits(key, algorithm, kid)]
        if len(fitting) == 1 or (fitting and kid is not None):
            return jwt.PyJWK(fitting[0], algorithm=algorithm)
    raise Refused("id_token", "unknown key")


def _suits(key: Mapping[str, Any], algorithm: str, kid: object) -> bool:
    """What the key was published for decides, never the header alone."""
    return (
        key.get("kty") == KINDS[algorithm]
        and key.get("alg") in (None, algorithm)
        and key.get("use") in (None, "sig")
        and (kid is None or key.get("kid") == kid)
    )


def _keys(app: ProviderApp, *, refetch: bool) -> list[dict[str, Any]]:
    url = discovery.endpoint(app, "jwks_uri")
    name = hashlib.sha256(f"{app.pk}:{url}".encode()).hexdigest()
    found = cache.get(f"jwks:{name}")
    if found is None or (refetch and cache.add(f"jwks-looked:{name}", 1, REFETCH_PAUSE)):
        try:
            found = discovery.read_json(app.tenant, url)
        except MailError as error:
            raise Refused("provider_down", error.detail) from None
        cache.set(f"jwks:{name}", found, KEYS_LIFE)
    listed = found.get("keys")
    return [key for key in listed[:MOST_KEYS] if isinstance(key, dict)] if isinstance(listed, list) else []
