"""The OAuth 2.0 server: Authlib's core with our store, strict PKCE, rotation, revocation, introspection."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from authlib.common.security import generate_token
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidRequestError, OAuth2Payload, OAuth2Request, grants
from authlib.oauth2.rfc6749.errors import InvalidScopeError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from joserfc.jwk import RSAKey

from sandbox.client import MAIL_SCOPES, Client
from sandbox.faults import Faults
from sandbox.oidc import AUTH_METHODS, IdTokens, Issuer, subject
from sandbox.store import Code, Grants, Token
from sandbox.web import Request, Response


class Payload(OAuth2Payload):
    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._data = dict(pairs)
        self._lists: defaultdict[str, list[str]] = defaultdict(list)
        for name, value in pairs:
            self._lists[name].append(value)

    @property
    def data(self) -> dict[str, str]:
        return self._data

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return self._lists


class OAuthRequest(OAuth2Request):
    def __init__(self, issuer: str, request: Request, pairs: list[tuple[str, str]]) -> None:
        super().__init__(request.method, issuer + request.path, headers=request.headers)
        self._arguments, self._fields = request.args, request.form
        self.payload = Payload(pairs)

    @property
    def args(self) -> dict[str, str]:
        return self._arguments

    @property
    def form(self) -> dict[str, str]:
        return self._fields


class Server(AuthorizationServer):
    """Views hand in an OAuthRequest and get a Response."""

    def __init__(self, client: Client, issuer: Issuer, key: RSAKey, store: Grants, faults: Faults) -> None:
        super().__init__(None)  # unknown scopes are refused in validate_requested_scope
        self.client, self.issuer, self.store, self.faults = client, issuer, store, faults
        self.register_token_generator("default", self._new_token)
        self.register_grant(CodeGrant, [IdTokens(issuer, key, store), StrictPkce()])
        self.register_grant(RefreshGrant)
        self.register_grant(ClientGrant)
        self.register_endpoint(Revocation)
        self.register_endpoint(Introspection)

    def query_client(self, client_id: str) -> Client | None:
        return self.client if client_id == self.client.client_id else None

    def create_oauth2_request(self, request: OAuthRequest) -> OAuthRequest:
        return request

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def validate_requested_scope(self, scope: str | None) -> None:
        if set((scope or "").split()) - set(self.client.get_allowed_scope(scope).split()):
            raise InvalidScopeError

    def handle_response(self, status: int, body: object, headers: list[tuple[str, str]]) -> Response:
        response = Response(status, b"", list(headers))
        if isinstance(body, dict):
            response.body = json.dumps(body).encode()
        elif location := response.header("Location"):
            response.headers = [(k, v) for k, v in response.headers if k.lower() != "location"]
            response.headers.append(("Location", self._with_issuer(location)))
        return response

    def save_token(self, token: dict[str, Any], request: OAuthRequest) -> None:
        code, previous = request.authorization_code, request.refresh_token
        now = time.time()
        self.store.add(
            Token(
                access_token=token["access_token"],
                refresh_token=token.get("refresh_token"),
                client_id=request.client.client_id,
                user=request.user or "",
                scope=token["scope"],
                granted=previous.granted if previous else token["scope"],
                issued_at=now,
                expires_at=now + token["expires_in"],
                grant_id=previous.grant_id if previous else code.grant_id if code else generate_token(16),
            )
        )

    def _with_issuer(self, location: str) -> str:
        """RFC 9207, section 2: also in error responses."""
        said = self.faults.take("iss_parameter")
        if said == "omit" or self.faults.take("tenant_issuer"):
            return location
        return str(add_params_to_uri(location, [("iss", said or self.issuer.url)]))

    def _new_token(
        self, grant_type: str, client: Client, user: str | None = None, scope: str | None = None, **wishes: Any
    ) -> dict[str, Any]:
        allowed = client.get_allowed_scope(scope)
        if grant_type == "client_credentials":  # there is no person to know or to be away
            allowed = " ".join(name for name in MAIL_SCOPES if name in allowed.split() or not scope)
        token = {
            "token_type": "Bearer",
            "access_token": generate_token(42 + self.faults.take("token_pad", user or "")),
            "expires_in": self.faults.take("token_life", user or ""),
            "scope": allowed,
        }
        asked = grant_type == "refresh_token" or "offline_access" in allowed.split()
        if wishes.get("include_refresh_token") and asked:
            token["refresh_token"] = generate_token(48)
        return token


class CodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def save_authorization_code(self, code: str, request: OAuthRequest) -> None:
        data = request.payload.data
        self.server.store.add_code(
            Code(
                code,
                request.client.client_id,
                request.payload.redirect_uri,
                request.scope,
                request.user,
                data.get("nonce"),
                data["code_challenge"],
                data["code_challenge_method"],
            )
        )

    def query_authorization_code(self, value: str, client: Client) -> Code | None:
        code: Code | None = self.server.store.code(value)
        if code and code.used:  # RFC 6749, 4.1.2: a second use ends what the first one got
            self.server.store.end(lambda token: token.grant_id == code.grant_id)
            return None
        return code if code and code.client_id == client.client_id else None

    def delete_authorization_code(self, code: Code) -> None:
        code.used = True

    def authenticate_user(self, code: Code) -> str:
        return code.user


class StrictPkce(CodeChallenge):
    """Authlib's own `required` binds public clients only, and takes `plain`."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        super().validate_code_challenge(grant, redirect_uri)
        if grant.request.payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with S256 is needed here", redirect_uri=redirect_uri)


class RefreshGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    @property
    def INCLUDE_NEW_REFRESH_TOKEN(self) -> bool:
        return bool(self.server.faults.take("rotation") != "none")

    def authenticate_refresh_token(self, value: str) -> Token | None:
        token: Token | None = self.server.store.by_refresh(value)
        if token and token.refresh_used:  # RFC 9700, 4.14.2: a rotated token comes again, so one of the two is a thief
            self.server.store.end(lambda other: other.grant_id == token.grant_id)
            return None
        return token

    def authenticate_user(self, token: Token) -> str:
        return token.user

    def revoke_old_credential(self, token: Token) -> None:
        if self.server.faults.take("rotation") == "strict":
            self.server.store.use_refresh(token)


class ClientGrant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = AUTH_METHODS

    def query_token(self, value: str, hint: str | None) -> Token | None:
        store: Grants = self.server.store
        return store.by_refresh(value) or store.by_access(value)

    def revoke_token(self, token: Token, request: OAuthRequest) -> None:
        if self.server.faults.take("project_revocation"):
            self.server.store.end(lambda t: (t.client_id, t.user) == (token.client_id, token.user))
        else:
            self.server.store.end(lambda t: t.grant_id == token.grant_id)


@dataclass(frozen=True)
class Shown:
    """A token as it was shown to the introspection endpoint: the access or the refresh half of it."""

    token: Token
    refresh: bool

    def is_expired(self) -> bool:
        return not self.refresh and time.time() >= self.token.expires_at

    def is_revoked(self) -> bool:
        return self.token.refresh_used if self.refresh else self.token.revoked


class Introspection(IntrospectionEndpoint):
    CLIENT_AUTH_METHODS = AUTH_METHODS

    def query_token(self, value: str, hint: str | None) -> Shown | None:
        if token := self.server.store.by_access(value):
            return Shown(token, refresh=False)
        if token := self.server.store.by_refresh(value):
            return Shown(token, refresh=True)
        return None

    def check_permission(self, shown: Shown, client: Client, request: OAuthRequest) -> bool:
        return shown.token.check_client(client)

    def introspect_token(self, shown: Shown) -> dict[str, Any]:
        token = shown.token
        answer: dict[str, Any] = {
            "active": True,
            "client_id": token.client_id,
            "scope": token.granted if shown.refresh else token.scope,
            "iat": int(token.issued_at),
            "iss": self.server.issuer.signed,
            "aud": token.client_id,
        }
        if not shown.refresh:
            answer |= {"token_type": "Bearer", "exp": int(token.expires_at)}
        if token.user:
            answer |= {"username": token.user, "sub": subject(token.user), "email": token.user}
        return answer
