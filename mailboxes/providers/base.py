"""The shape of a provider: everything in which one differs from another, so that nothing else has to ask which it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Rotation = Literal["none", "reusable", "strict"]
Revocation = Literal["grant", "project", "none"]
Security = Literal["tls", "starttls"]

_NUMBER = re.compile(r"\bAADSTS(\d{4,7})\b")


@dataclass(frozen=True)
class Server:
    """A mail server that takes the provider's tokens."""

    host: str
    port: int
    security: Security = "tls"

    def as_json(self) -> dict[str, Any]:
        return {"host": self.host, "port": self.port, "security": self.security}


@dataclass(frozen=True)
class Provider:
    """Facts, with their source beside them in the siblings. Empty means: the administrator says, or discovery does."""

    preset: str
    name: str
    issuer: str = ""
    issuer_help: str = ""
    servers: Mapping[str, Server] = field(default_factory=dict)
    """Of `imap`, `pop3`, `smtp`."""
    other_servers: tuple[str, ...] = ()
    """Hosts that an app may name instead of those."""
    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Mail scopes of each protocol."""
    sign_in_scopes: tuple[str, ...] = ("openid", "email", "profile", "offline_access")
    """Asked for besides, where the discovery lists them."""
    app_scopes: tuple[str, ...] = ()
    """What client credentials ask for; empty: the mail scopes."""
    authorize_extra: Mapping[str, str] = field(default_factory=dict)
    auth_method: str = "client_secret_basic"
    rotation: Rotation = "strict"
    """none: the refresh token stays. reusable: a new one comes, the old works on. strict: using an old one ends the grant."""
    revocation: Revocation = "grant"
    """grant: ends this grant. project: ends everything the person gave to the whole project. none: no such endpoint."""
    subject_claims: tuple[str, ...] = ("sub",)
    """The claims that together pin an account; an address may change hands, these do not."""
    account_claims: tuple[str, ...] = ("email",)
    """Claims that may hold the address of who signed in."""
    locked_hosts: frozenset[str] = frozenset()
    """host:port that secrets and tokens may go to; empty: pinned from the discovery when the app is saved."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Known without asking (locked providers): used until the discovery has been fetched."""
    loopback_authorization: bool = False
    """The authorization endpoint may be http on this machine (the sandbox: a browser would warn of its certificate)."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """error, suberror or number in a refusal → a code of words.REASONS that says it better."""
    console: str = ""
    """Where the client is registered."""
    register_steps: tuple[str, ...] = ()
    """Where to click there; `{redirect_uri}` is filled in."""
    take_back: str = ""
    """Where an owner removes the consent by himself."""
    take_back_steps: str = ""
    permission_note: str = ""
    """What the owner should know of the provider's own wording."""

    def reason_for(self, *said: str) -> str:
        """The better code for what a refusal says (its error, suberror, description); '' when there is none.

        Numbers only refine the words (Microsoft says that programs must not depend on them).
        """
        for text in said:
            for key in (text, *_NUMBER.findall(text)):
                if reason := self.refusals.get(key):
                    return reason
        return ""

    def issuer_fits(self, configured: str, announced: str) -> bool:
        """Whether the discovery's issuer is that of the app: equal, unless a provider publishes a template."""
        return configured == announced

    def issuer_is(self, announced: str, claims: Mapping[str, Any]) -> bool:
        """Whether an id_token's `iss` is the announced one."""
        return claims.get("iss") == announced

    def answer_is_from(self, announced: str, issuer: str) -> bool:
        """Whether the `iss` parameter of an authorization answer (RFC 9207) is the announced one."""
        return issuer == announced

    def subject_of(self, claims: Mapping[str, Any]) -> str:
        """What pins the account; '' when a claim is missing."""
        parts = [claims.get(name) for name in self.subject_claims]
        return "/".join(str(part) for part in parts) if all(isinstance(part, str) and part for part in parts) else ""

    def accounts_of(self, claims: Mapping[str, Any], *, unverified: bool = False) -> list[str]:
        """The addresses that the claims name, case-folded. What the provider calls unverified is no address.

        `unverified` ones too: enough to refuse a person who claims to be somebody else, never to believe one.
        """
        if claims.get("email_verified") is False and not unverified:
            claims = {name: value for name, value in claims.items() if name != "email"}
        found = (claims.get(name) for name in self.account_claims)
        return [text.strip().casefold() for text in found if isinstance(text, str) and "@" in text]

    def mail_scopes(self, configured: Mapping[str, Any], *, receive: str, send: bool) -> list[str]:
        """The mail scopes that a mailbox needs: least, in a fixed order, each once."""
        wanted = [name for name in ("imap", "pop3") if name == receive] + (["smtp"] if send else [])
        return list(dict.fromkeys(scope for name in wanted for scope in configured.get(name) or ()))
