"""The provider's pages and endpoints as web views."""

from __future__ import annotations

import threading
from typing import Any

from joserfc.jwk import RSAKey

from sandbox.consent import ConsentPage
from sandbox.oauth import OAuthRequest, Server
from sandbox.oidc import claims_about
from sandbox.web import Request, Response, Routes, as_json


class Provider:
    def __init__(self, server: Server, key: RSAKey, consent: ConsentPage) -> None:
        self._server, self._key, self._consent = server, key, consent
        self._faults, self._store = server.faults, server.store

    def tls_routes(self) -> Routes:
        """What programs call; only the browser's leg is plain http (see browser_routes)."""
        return {
            ("GET", "/.well-known/openid-configuration"): self.discovery,
            ("GET", "/common/v2.0/.well-known/openid-configuration"): self.discovery,
            ("GET", "/jwks"): self.jwks,
            ("POST", "/token"): self.token,
            ("POST", "/revoke"): lambda request: self._endpoint("revocation", "revoke_status", request),
            ("POST", "/introspect"): lambda request: self._endpoint("introspection", "introspect_status", request),
            ("GET", "/userinfo"): self.userinfo,
            ("POST", "/userinfo"): self.userinfo,
        }

    def browser_routes(self) -> Routes:
        """Without TLS, on localhost only: a person would meet a certificate warning under our own CA."""
        return self._consent.routes()

    def discovery(self, request: Request) -> Response:
        return self._broken("discovery_status") or as_json(self._server.issuer.discovery())

    def jwks(self, request: Request) -> Response:
        return self._broken("jwks_status") or as_json({"keys": [self._key.as_dict(private=False)]})

    def token(self, request: Request) -> Response:
        take = self._faults.take
        if seconds := take("token_delay"):
            threading.Event().wait(seconds)
        if seconds := take("token_hang"):
            threading.Event().wait(seconds)
            return Response(silent=True)
        if broken := self._broken("token_status"):
            if seconds := take("token_retry_after"):
                broken.headers.append(("Retry-After", str(seconds)))
            return broken
        if error := take("token_error"):
            return as_json({"error": error, "error_description": "a fault switch of the sandbox"}, 400)
        with self._store.lock:  # a refresh token or a code is used by one request at a time
            response: Response = self._server.create_token_response(self._wrapped(request, request.form_pairs))
        if response.status == 200 and take("token_lose_answer"):
            return Response(silent=True)
        return response

    def userinfo(self, request: Request) -> Response:
        scheme, _, value = (request.headers.get("Authorization") or "").partition(" ")
        token = self._store.by_access(value) if scheme.lower() == "bearer" else None
        if token is None or not token.live or not token.user or "openid" not in token.scope.split():
            refused = as_json({"error": "invalid_token"}, 401)
            refused.headers.append(("WWW-Authenticate", 'Bearer error="invalid_token"'))
            return refused
        return as_json(claims_about(token.user, token.scope))

    def _endpoint(self, name: str, switch: str, request: Request) -> Response:
        if broken := self._broken(switch):
            return broken
        with self._store.lock:
            answer: Response = self._server.create_endpoint_response(name, self._wrapped(request, request.form_pairs))
            return answer

    def _broken(self, switch: str) -> Response | None:
        status = self._faults.take(switch)
        return (
            Response(status, b"<h1>A fault switch of the sandbox</h1>", [("Content-Type", "text/html")])
            if status
            else None
        )

    def _wrapped(self, request: Request, pairs: list[tuple[str, str]]) -> Any:
        return OAuthRequest(self._server.issuer.url, request, pairs)
