"""What NO, BAD and BYE mean (RFC 3501, 7.1; response codes of RFC 5530; dialects from PROVIDERS.md)."""

from __future__ import annotations

import re

from mailboxes.errors import (
    CommandRefused,
    ConnectionLost,
    MailboxUnusable,
    MailError,
    ProtocolFault,
    ServerUnavailable,
    SignInRefused,
    Throttled,
    TlsRefused,
)
from mailboxes.protocols.imap_wire import Status
from mailboxes.protocols.replies import asked_pause, redact

_UNAVAILABLE = frozenset({"UNAVAILABLE", "INUSE", "SERVERBUG"})
_UNUSABLE = frozenset({"AUTHORIZATIONFAILED", "CONTACTADMIN", "WEBALERT"})

# Said in words only. Google: [ALERT] with the words; Microsoft: BAD without any code.
_LIMITS = re.compile(
    r"too many (simultaneous )?connections|bandwidth limit|command or bandwidth|rate limit|throttl|"
    r"maximum number of connections|request is throttled|backoff time",
    re.I,
)
_NOT_CONNECTED = re.compile(
    r"authenticated but not connected|not enabled for imap|imap( access)? is disabled|web ?login required|"
    r"log ?in via your web browser",
    re.I,
)
_PASSING = re.compile(r"temporar|try again later|system error|internal error|server busy|unavailable", re.I)


def failure(status: Status, *, doing: str, signing_in: bool = False, secret: str = "", shown: bool = True) -> MailError:
    """The error for a status that is not OK. `shown=False` (before TLS): the words stay with the operator."""
    reply = redact(str(status), secret)
    detail, private = (reply, "") if shown else (f"refused while {doing}", reply)
    if status.code == "LIMIT" or _LIMITS.search(status.text):
        return Throttled(detail, retry_after=asked_pause(status.text), private=private)
    if status.code in _UNUSABLE or _NOT_CONNECTED.search(status.text):
        return MailboxUnusable(detail, private=private)
    if status.code == "PRIVACYREQUIRED":
        return TlsRefused(detail, private=private)
    if status.code in _UNAVAILABLE or (_PASSING.search(status.text) and status.code != "AUTHENTICATIONFAILED"):
        return ServerUnavailable(detail, private=private)
    if status.kind == "BYE":
        return ConnectionLost(detail, private=private)  # Google ends sessions with the token: an ordinary end
    if signing_in:
        return SignInRefused(detail, private=private)
    if status.kind == "NO":
        return CommandRefused(detail, private=private, response_code=status.code)
    return ProtocolFault(detail, private=private)
