"""Codes and tokens given out: in memory, each change handed on to be kept on disk before anybody sees it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

CODE_LIFE = 120  # seconds


@dataclass
class Code:
    """An authorization code (RFC 6749, 4.1.2); used once, kept until it expires to notice a second use."""

    code: str
    client_id: str
    redirect_uri: str
    scope: str
    user: str
    nonce: str | None
    code_challenge: str
    code_challenge_method: str
    auth_time: int = field(default_factory=lambda: int(time.time()))
    used: bool = False
    grant_id: str = field(default_factory=lambda: secrets.token_hex(8))

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time


@dataclass
class Token:
    """One answer of the token endpoint: an access token and the refresh token that came with it."""

    access_token: str
    refresh_token: str | None
    client_id: str
    user: str  # "": the client itself (client credentials)
    scope: str  # of the access token
    granted: str  # of the grant: what the refresh token may ask for
    issued_at: float
    expires_at: float
    grant_id: str
    revoked: bool = False
    refresh_used: bool = False

    def check_client(self, client: Any) -> bool:
        return bool(self.client_id == client.client_id)

    def get_scope(self) -> str:
        return self.granted

    @property
    def live(self) -> bool:
        """May the access token be used now?"""
        return not self.revoked and time.time() < self.expires_at


class Grants:
    """Every method takes the lock; callers that do several steps take it around them (it is re-entrant)."""

    def __init__(self, keep: Callable[[Iterable[Token]], None]) -> None:
        self.lock = threading.RLock()
        self._keep = keep
        self._codes: dict[str, Code] = {}
        self._by_access: dict[str, Token] = {}
        self._by_refresh: dict[str, Token] = {}

    def restore(self, tokens: Iterable[Token]) -> None:
        with self.lock:
            for token in tokens:
                self._index(token)

    def add_code(self, code: Code) -> None:
        with self.lock:
            now = time.time()
            self._codes = {c.code: c for c in self._codes.values() if c.auth_time > now - CODE_LIFE}
            self._codes[code.code] = code

    def code(self, value: str) -> Code | None:
        with self.lock:
            code = self._codes.get(value)
            return code if code and code.auth_time > time.time() - CODE_LIFE else None

    def nonce_seen(self, nonce: str) -> bool:
        with self.lock:
            return any(code.nonce == nonce for code in self._codes.values())

    def add(self, token: Token) -> None:
        with self.lock:
            self._keep([token])
            self._index(token)

    def by_access(self, value: str) -> Token | None:
        with self.lock:
            return self._by_access.get(value)

    def by_refresh(self, value: str) -> Token | None:
        with self.lock:
            return self._by_refresh.get(value)

    def use_refresh(self, token: Token) -> None:
        with self.lock:
            token.refresh_used = True
            self._keep([token])

    def end(self, wanted: Callable[[Token], bool]) -> int:
        """Revoke every token that is `wanted`, refresh tokens included; answers how many were alive."""
        return self._change(lambda t: wanted(t) and not (t.revoked and t.refresh_used), _revoke)

    def expire(self, wanted: Callable[[Token], bool]) -> int:
        """Let the access tokens run out now; refresh tokens stay good."""
        return self._change(lambda t: wanted(t) and t.live, _run_out)

    def all(self) -> list[Token]:
        with self.lock:
            return list(self._by_access.values())

    def _change(self, wanted: Callable[[Token], bool], change: Callable[[Token], None]) -> int:
        with self.lock:
            found = [token for token in self._by_access.values() if wanted(token)]
            for token in found:
                change(token)
            self._keep(found)
            return len(found)

    def _index(self, token: Token) -> None:
        self._by_access[token.access_token] = token
        if token.refresh_token:
            self._by_refresh[token.refresh_token] = token


def _revoke(token: Token) -> None:
    token.revoked = token.refresh_used = True


def _run_out(token: Token) -> None:
    token.expires_at = time.time()
