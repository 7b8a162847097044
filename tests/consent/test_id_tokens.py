"""An id_token is believed only when everything about it is right: a positive control, and forgeries one by one."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.core.cache import cache

from accounts.models import Tenant
from mailboxes.models import ProviderApp
from mailboxes.services import discovery, id_token
from mailboxes.services.refused import Refused

ISSUER = "https://provider.example"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
ALIEN = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def published(key: Any, kid: str, algorithm: str | None = None) -> dict[str, Any]:
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    found = json.loads(kind.to_jwk(key.public_key()))
    return {**found, "kid": kid, "use": "sig"} | ({"alg": algorithm} if algorithm else {})


@pytest.fixture
def looks(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The provider publishes two keys; how often it was asked."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    cache.clear()
    asked: list[str] = []

    def read_json(tenant: object, url: str) -> dict[str, Any]:
        asked.append(url)
        return {"keys": [{"kty": "odd"}, published(KEY, "rsa"), published(CURVE, "ec", "ES256")]}

    monkeypatch.setattr(discovery, "read_json", read_json)
    return asked


@pytest.fixture
def app(looks: list[str]) -> ProviderApp:
    config = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
    return ProviderApp(
        tenant=Tenant(name="Contoso"), preset="oidc", issuer=ISSUER, client_id="mailhub", discovery=config,
        pinned_hosts=["provider.example:443"],
    )  # fmt: skip


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    sound = {"iss": ISSUER, "sub": "anna", "aud": "mailhub", "iat": now, "exp": now + 600, "nonce": "n-1"}
    return {name: value for name, value in {**sound, **changes}.items() if value is not None}


def sealed(content: dict[str, Any], key: Any = KEY, algorithm: str = "RS256", kid: str | None = "rsa") -> str:
    return jwt.encode(content, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def by_hand(header: dict[str, Any], content: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(content).encode(), signature)
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(KEY, "RS256", "rsa"), (KEY, "PS256", "rsa"), (CURVE, "ES256", "ec"), (KEY, "RS256", None)],
)
def test_a_sound_one_is_believed(app: ProviderApp, key: Any, algorithm: str, kid: str) -> None:
    assert id_token.verify(sealed(claims(), key, algorithm, kid), app, nonce="n-1")["sub"] == "anna"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": f"{ISSUER}/"},
        {"iss": None},
        {"sub": None},
        {"aud": "another"},
        {"aud": ["mailhub", "another"]},
        {"aud": None},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"exp": "soon"},
        {"iat": int(time.time()) - 3600},
        {"iat": int(time.time()) + 3600},
        {"iat": None},
        {"nonce": "n-2"},
        {"nonce": None},
        {"nonce": 7},
        {"sub": 7},
    ],
)
def test_a_wrong_claim_is_refused(app: ProviderApp, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        id_token.verify(sealed_by_hand(claims(**changes)), app, nonce="n-1")
    assert refused.value.code == "id_token"


def sealed_by_hand(content: dict[str, Any]) -> str:
    """Signed well, whatever the claims are (PyJWT refuses to write some of them)."""
    header = {"alg": "RS256", "typ": "JWT", "kid": "rsa"}
    text = by_hand(header, content).rsplit(".", 1)[0]
    signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(text.encode(), KEY)
    return f"{text}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


FORGERIES: dict[str, Callable[[], str]] = {
    "another's key under a known id": lambda: sealed(claims(), ALIEN),
    "an unknown key id": lambda: sealed(claims(), ALIEN, kid="alien"),
    "no key id, where two keys would do": lambda: sealed(claims(), ALIEN, kid=None),
    "no signature": lambda: by_hand({"alg": "none"}, claims()),
    "no signature, with a key id": lambda: by_hand({"alg": "none", "kid": "rsa"}, claims()),
    "HMAC": lambda: jwt.encode(claims(), "x" * 64, algorithm="HS256", headers={"kid": "rsa"}),
    "HMAC under an RSA key's id": lambda: by_hand({"alg": "HS256", "kid": "rsa"}, claims(), b"x" * 32),
    "an RSA algorithm with a curve's key": lambda: sealed(claims(), KEY, kid="ec"),
    "an unknown algorithm": lambda: sealed(claims(), KEY, "RS512"),
    "a cut one": lambda: sealed(claims())[:-20],
    "a changed payload": lambda: ".".join(
        [sealed(claims()).split(".")[0], by_hand({}, claims(sub="bob")).split(".")[1], sealed(claims()).split(".")[2]]
    ),
    "nothing": lambda: "",
    "no token at all": lambda: "a.b.c",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused(app: ProviderApp, name: str) -> None:
    with pytest.raises(Refused) as refused:
        id_token.verify(FORGERIES[name](), app, nonce="n-1")
    assert refused.value.code == "id_token"


def test_the_keys_are_kept_and_an_unknown_id_costs_one_look_a_minute(app: ProviderApp, looks: list[str]) -> None:
    for _ in range(3):
        id_token.verify(sealed(claims()), app, nonce="n-1")
    assert len(looks) == 1

    for _ in range(5):
        with pytest.raises(Refused):
            id_token.verify(sealed(claims(), ALIEN, kid="alien"), app, nonce="n-1")
    assert len(looks) == 2
