"""OpenID Connect's side of the provider: the signing key, id_tokens (right and, on request, wrong), what discovery says."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from authlib.oidc.core import OpenIDCode
from joserfc import jwt
from joserfc.jwk import RSAKey

from sandbox import private_file
from sandbox.client import SCOPES
from sandbox.faults import Faults
from sandbox.people import PEOPLE
from sandbox.store import Grants

TENANT = "7d3e0a52-6a1b-4c0e-9a53-5a4d0b0c5e11"  # of the tenant_issuer switch
AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


def load_key(path: Path) -> RSAKey:
    """The signing key, made on the first start."""
    if not path.exists():
        private_file.write(path, RSAKey.generate_key(2048).as_pem(private=True))
    key = RSAKey.import_key(path.read_bytes())
    return RSAKey.import_key(path.read_bytes(), {"use": "sig", "alg": "RS256", "kid": key.thumbprint()})


def subject(user: str) -> str:
    return f"sandbox-{user.partition('@')[0]}"


def claims_about(user: str, scope: str) -> dict[str, Any]:
    """What `scope` lets a client know about a person."""
    granted = scope.split()
    claims: dict[str, Any] = {"sub": subject(user)}
    if "email" in granted:
        claims |= {"email": user, "email_verified": True}
    if "profile" in granted:
        claims |= {"name": PEOPLE[user]}
    return claims


@dataclass(frozen=True)
class Issuer:
    """Where the provider is, and what it says of itself."""

    url: str
    browser_url: str
    faults: Faults

    @property
    def announced(self) -> str:
        return self.url + "/{tenantid}/v2.0" if self.faults.take("tenant_issuer") else self.url

    @property
    def signed(self) -> str:
        return self.url + f"/{TENANT}/v2.0" if self.faults.take("tenant_issuer") else self.url

    def discovery(self) -> dict[str, Any]:
        at, microsoft = self.url, self.faults.take("tenant_issuer")
        document = {
            "issuer": self.announced,
            "authorization_endpoint": f"{self.browser_url}/authorize",
            "token_endpoint": f"{at}/token",
            "revocation_endpoint": f"{at}/revoke",
            "introspection_endpoint": f"{at}/introspect",
            "userinfo_endpoint": f"{at}/userinfo",
            "jwks_uri": f"{at}/jwks",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": AUTH_METHODS,
            "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
            "introspection_endpoint_auth_methods_supported": AUTH_METHODS,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "claims_supported": [
                "sub",
                "iss",
                "aud",
                "exp",
                "iat",
                "auth_time",
                "nonce",
                "email",
                "email_verified",
                "name",
            ],
            "prompt_values_supported": ["none", "consent", "select_account"],
        }
        if microsoft:
            del document["authorization_response_iss_parameter_supported"], document["revocation_endpoint"]
        return document


class IdTokens(OpenIDCode):
    def __init__(self, issuer: Issuer, key: RSAKey, grants: Grants) -> None:
        super().__init__(require_nonce=False)
        self._issuer, self._key, self._grants = issuer, key, grants

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        return self._grants.nonce_seen(nonce)

    def process_token(self, grant: Any, response: Any) -> dict[str, Any]:
        token: dict[str, Any] = super().process_token(grant, response)
        if token.get("id_token") == "":
            del token["id_token"]
        return token

    def encode_id_token(self, token: dict[str, Any], request: Any) -> str:
        """Signed as it should be, or spoilt as the id_token switch says ('' for none at all)."""
        wrong, faults = self._issuer.faults.take("id_token", request.user), self._issuer.faults
        now, code = int(time.time()), request.authorization_code
        claims = {
            "iss": self._issuer.signed,
            "aud": request.client.client_id,
            "iat": now,
            "exp": now + 3600,
            "auth_time": code.auth_time,
            **claims_about(request.user, token["scope"]),
        }
        claims |= {"nonce": code.nonce} if code.nonce else {}
        if faults.take("tenant_issuer"):
            claims |= {"tid": TENANT, "oid": f"oid-{claims['sub']}"}
        return _signed(_spoilt(claims, wrong), wrong, self._key)


def _spoilt(claims: dict[str, Any], wrong: str) -> dict[str, Any]:
    if wrong == "no_email":
        return {name: value for name, value in claims.items() if not name.startswith("email")}
    past = int(time.time()) - 7200
    changes: dict[str, dict[str, Any]] = {
        "issuer": {"iss": "https://another-issuer.test"},
        "audience": {"aud": "another-client"},
        "nonce": {"nonce": "another-nonce"},
        "expired": {"iat": past - 60, "exp": past},
        "subject": {"sub": "sandbox-somebody-else"},
        "unverified": {"email_verified": False},
    }
    return claims | changes.get(wrong, {})


def _signed(claims: dict[str, Any], wrong: str, key: RSAKey) -> str:
    if wrong == "missing":
        return ""
    if wrong == "unsigned":
        return _by_hand({"alg": "none"}, claims, b"")
    if wrong == "hs256":  # the public key taken for a shared secret
        return _by_hand({"alg": "HS256", "kid": key.kid}, claims, key.as_pem(private=False))
    signer = RSAKey.generate_key(2048) if wrong == "signature" else key  # the name stays ours
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, signer, algorithms=["RS256"])


def _by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """What a library rightly refuses to make."""
    text = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    return text + "." + (_base64url(hmac.digest(secret, text.encode(), "sha256")) if secret else "")


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
