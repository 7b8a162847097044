"""Switches that make the sandbox misbehave on purpose; each for a number of uses, or until it is switched off."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

Value = str | int | float | bool

# name: (value when off, what it does)
SWITCHES: dict[str, tuple[Value, str]] = {
    "token_status": (0, "the token endpoint answers this HTTP status, e.g. 500 or 429"),
    "token_retry_after": (0, "seconds in the Retry-After header that goes with token_status; 0: no header"),
    "token_error": ("", "the token endpoint answers 400 with this OAuth error, e.g. invalid_grant"),
    "token_delay": (0.0, "seconds before the token endpoint answers"),
    "token_hang": (0.0, "seconds that the token endpoint holds the connection; then it closes without an answer"),
    "token_lose_answer": (False, "the token endpoint does its work (rotates), then closes without an answer"),
    "token_life": (3600, "life of new access tokens in seconds"),
    "token_pad": (0, "new access tokens are this many characters longer (Microsoft's have about 2,500)"),
    "rotation": (
        "strict",
        "refresh tokens: strict (new one, replay ends the grant), reusable (new one, old one good), none",
    ),
    "project_revocation": (False, "like Google: revoking one token ends every grant of the client for that person"),
    "tenant_issuer": (
        False,
        "like Microsoft: issuer with {tenantid}, tid and oid claims, no iss parameter, no revocation",
    ),
    "discovery_status": (0, "the discovery document answers this HTTP status"),
    "jwks_status": (0, "the key set answers this HTTP status"),
    "revoke_status": (0, "the revocation endpoint answers this HTTP status"),
    "introspect_status": (0, "the introspection endpoint answers this HTTP status"),
    "authorize_error": ("", "Allow on the consent page comes back as this OAuth error, e.g. consent_required"),
    "iss_parameter": ("", "the iss parameter of the authorization response has this value; omit: it is not sent"),
    "id_token": (
        "",
        "what is wrong with new id_tokens: missing, signature, unsigned, hs256, issuer, audience, nonce, expired, "
        "subject, no_email, unverified",
    ),
    "imap_drop_after": (0, "a FETCH is cut after this many bytes"),
    "imap_delay": (0.0, "seconds before each IMAP response"),
    "imap_bye": ("", "the next IMAP command is answered by BYE with this text"),
    "imap_refuse": ("", "IMAP sign-in is answered by NO with this text, e.g. [UNAVAILABLE] come back later"),
    "pop3_drop_after": (0, "a RETR is cut after this many bytes"),
    "pop3_delay": (0.0, "seconds before each POP3 response"),
    "pop3_refuse": ("", "POP3 sign-in is answered by -ERR with this text, e.g. [SYS/TEMP] come back later"),
    "smtp_auth": ("", "reply to AUTH, e.g. 535 5.7.139 SmtpClientAuthentication is disabled for the Tenant"),
    "smtp_mail": ("", "reply to MAIL, e.g. 451 4.3.0 try later"),
    "smtp_rcpt": ("", "reply to RCPT, e.g. 550 5.1.1 no such mailbox"),
    "smtp_data": ("", "reply after the final dot, e.g. 554 5.7.1 looks like spam"),
    "smtp_data_delay": (0.0, "seconds between the final dot (stored by then) and its reply"),
    "smtp_drop_at_dot": ("", "the connection is cut at the final dot: before (nothing stored) or after storing"),
}


class UnknownFault(ValueError):
    """There is no such switch, or the value doesn't fit it."""


@dataclass
class Setting:
    value: Value
    left: int | None  # uses; None: until switched off
    user: str  # only for this person's sessions and tokens; "": for all


class Faults:
    def __init__(self) -> None:
        self._on: dict[str, Setting] = {}
        self._lock = threading.Lock()

    def switch(self, name: str, value: object, count: int | None = None, user: str = "") -> None:
        """Raises UnknownFault."""
        if name not in SWITCHES:
            raise UnknownFault(f"no such fault: {name}")
        off = SWITCHES[name][0]
        kinds = (int, float) if isinstance(off, float) else (type(off),)
        if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(off, bool):
            raise UnknownFault(f"{name} wants {type(off).__name__}, got {value!r}")
        if count is not None and (not isinstance(count, int) or count < 1):
            raise UnknownFault("count must be a whole number from 1 on")
        with self._lock:
            if value == off:
                self._on.pop(name, None)
            else:
                self._on[name] = Setting(value, count, user.lower())

    def clear(self) -> None:
        with self._lock:
            self._on.clear()

    def take(self, name: str, user: str = "") -> Any:
        """The switch's value, using up one of its uses; its off value (falsy, except for token_life, rotation) else."""
        with self._lock:
            setting = self._on.get(name)
            if setting is None or (setting.user and setting.user != user.lower()):
                return SWITCHES[name][0]
            if setting.left is not None:
                setting.left -= 1
                if setting.left == 0:
                    del self._on[name]
            return setting.value

    def describe(self) -> dict[str, dict[str, Any]]:
        with self._lock:
            return {
                name: {
                    "value": self._on[name].value if name in self._on else off,
                    "left": self._on[name].left if name in self._on else None,
                    "user": self._on[name].user if name in self._on else "",
                    "help": words,
                }
                for name, (off, words) in SWITCHES.items()
            }
