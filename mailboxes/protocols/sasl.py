"""SASL for bearer tokens: XOAUTH2 (Google's and Microsoft's format) and OAUTHBEARER (RFC 7628).

Pure functions without I/O. What they return before base64 holds the token: never log it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mailboxes.errors import ProtocolFault

Mechanism = Literal["XOAUTH2", "OAUTHBEARER"]

PREFERRED: tuple[Mechanism, ...] = ("XOAUTH2", "OAUTHBEARER")
"""XOAUTH2 first: all providers document it; OAUTHBEARER was seen at few, and not on POP3 (PROVIDERS.md)."""

MAX_CHALLENGE = 4096  # bytes of base64; an error challenge has a few hundred

_TOKEN = re.compile(r"[\x20-\x7e]+")  # VSCHAR and SP: RFC 6749, appendix A.12
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WORD = re.compile(r"[^\w./:@,+ -]")


@dataclass(frozen=True)
class Challenge:
    """The server's reason for a refusal (RFC 7628, 3.2.2), in letters that may be shown and logged."""

    status: str = ""
    schemes: str = ""
    scope: str = ""

    def __str__(self) -> str:
        parts = (("status", self.status), ("schemes", self.schemes), ("scope", self.scope))
        return ", ".join(f"{name} {value}" for name, value in parts if value)


def choose(offered: Iterable[str], preferred: Iterable[Mechanism] = PREFERRED) -> Mechanism | None:
    """The first preferred mechanism among those offered (with or without "AUTH=", in any case); None if there is none."""
    names = {name.upper().removeprefix("AUTH=") for name in offered}
    return next((name for name in preferred if name in names), None)


def initial_response(mechanism: Mechanism, user: str, token: str, *, host: str, port: int) -> bytes:
    """What the client says first, base64 not yet applied. Raises ProtocolFault on what would break the format."""
    if mechanism == "XOAUTH2":
        return xoauth2(user, token)
    return oauthbearer(user, token, host=host, port=port)


def xoauth2(user: str, token: str) -> bytes:
    """Raises ProtocolFault when a part holds control characters: 0x01 is the field separator, CR and LF end a line."""
    _check(user, token)
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


def oauthbearer(user: str, token: str, *, host: str, port: int) -> bytes:
    """RFC 7628, 3.1; the name is escaped as a GS2 saslname (RFC 5801, section 4). Raises as xoauth2."""
    _check(user, token)
    if _CONTROL.search(host):
        raise ProtocolFault("the host name holds control characters")
    name = user.replace("=", "=3D").replace(",", "=2C")
    return f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01".encode()


def _check(user: str, token: str) -> None:
    if not user or _CONTROL.search(user):
        raise ProtocolFault("the account name is empty or holds control characters")
    if not _TOKEN.fullmatch(token):
        raise ProtocolFault("the access token holds characters that no token may have (RFC 6749, A.12)")


def encode(response: bytes) -> bytes:
    return base64.b64encode(response)


def answer_to_error(mechanism: Mechanism) -> bytes:
    """What an error challenge must be answered with before the server says NO (base64 not yet applied).

    XOAUTH2: an empty line. OAUTHBEARER: a lone 0x01 (RFC 7628, 3.2.3).
    """
    return b"" if mechanism == "XOAUTH2" else b"\x01"


def read_challenge(encoded: bytes) -> Challenge | None:
    """The reason in an error challenge; None for the empty challenge that only asks for the first response.

    What cannot be read becomes Challenge() without details: the server said no in its own dialect.
    """
    encoded = encoded.strip()
    if not encoded:
        return None
    if len(encoded) > MAX_CHALLENGE:
        return Challenge()
    try:
        said = json.loads(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return Challenge()
    if not isinstance(said, dict):
        return Challenge()
    return Challenge(*(_WORD.sub("?", str(said.get(key, "")))[:120] for key in ("status", "schemes", "scope")))
