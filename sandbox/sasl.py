"""XOAUTH2 and OAUTHBEARER (RFC 7628): reading what clients send, and saying why it is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pysasl.creds.external import ExternalCredentials
from pysasl.creds.server import ServerCredentials
from pysasl.exception import InvalidResponse
from pysasl.mechanism import ChallengeResponse, ServerChallenge, ServerMechanism

from sandbox.people import PEOPLE
from sandbox.store import Grants

PATTERNS = {
    "XOAUTH2": re.compile(rb"user=([^\x01]*)\x01auth=bearer ([^\x01]*)\x01\x01", re.IGNORECASE),
    "OAUTHBEARER": re.compile(
        rb"n,a=([^,\x01]*),\x01(?:(?:host|port)=[^\x01]*\x01)*auth=bearer ([^\x01]*)\x01(?:[^\x01]+\x01)*\x01",
        re.IGNORECASE,
    ),
}


@dataclass(frozen=True)
class Bearer:
    """What a client sent."""

    user: str  # lower case
    token: str


def parse(mechanism: str, message: bytes) -> Bearer | None:
    """None when the message is malformed."""
    match = PATTERNS[mechanism].fullmatch(message)
    if not match:
        return None
    user, token = (group.decode("utf-8", "replace") for group in match.groups())
    if mechanism == "OAUTHBEARER":  # a saslname (RFC 5801, section 4)
        user = user.replace("=2C", ",").replace("=3D", "=")
    return Bearer(user.lower(), token)


def refusal(grants: Grants, mechanism: str, bearer: Bearer, scope: str) -> bytes | None:
    """The JSON challenge that says why `bearer` doesn't open this mailbox with `scope`; None when it does.

    Tokens that the client got for itself (client credentials) open every mailbox.
    """
    token = grants.by_access(bearer.token)
    if token is None or not token.live or bearer.user not in PEOPLE or token.user not in ("", bearer.user):
        google, rfc = "401", "invalid_token"
    elif scope not in token.scope.split():
        google, rfc = "400", "insufficient_scope"
    else:
        return None
    status = google if mechanism == "XOAUTH2" else rfc
    return json.dumps({"status": status, "schemes": "Bearer", "scope": scope}).encode()


class BearerCredentials(ExternalCredentials):
    """What came of a sign-in; a refused one too, because pymap turns an error raised here into BAD, not NO."""

    __slots__ = ["accepted"]

    def __init__(self, user: str, accepted: bool) -> None:
        super().__init__(user)
        self.accepted = accepted


class BearerMechanism(ServerMechanism):
    """For pymap: asks for the message, challenges a bad one with the reason, then hands over what came of it."""

    def __init__(self, grants: Grants, name: str, scope: str) -> None:
        super().__init__(name.encode())
        self._grants, self._mechanism, self._scope = grants, name, scope

    def server_attempt(self, responses: Sequence[ChallengeResponse]) -> tuple[ServerCredentials, bytes | None]:
        if not responses:
            raise ServerChallenge(b"")
        bearer = parse(self._mechanism, responses[0].response)
        if bearer is None:
            raise InvalidResponse
        reason = refusal(self._grants, self._mechanism, bearer, self._scope)
        if reason and len(responses) == 1:
            raise ServerChallenge(reason)
        return BearerCredentials(bearer.user, accepted=reason is None), None
