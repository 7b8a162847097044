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
_CONNECTIONS = re.compile(
    r"too many (simultaneous )?connections|maximum number of connections|userip connections", re.I
)
_LIMITS = re.compile(r"bandwidth limit|command or bandwidth|rate limit|throttl|backoff time", re.I)
_IMAP_OFF = re.compile(r"not enabled for imap|imap( access)? is (disabled|turned off)", re.I)
_NOT_CONNECTED = re.compile(r"authenticated but not connected|web ?login required|log ?in via your web browser", re.I)
_PASSING = re.compile(r"temporar|try again later|system error|internal error|server busy|unavailable", re.I)


def failure(status: Status, *, doing: str, signing_in: bool = False, secret: str = "", shown: bool = True) -> MailError:
    """The error for a status that is not OK. `shown=False` (before TLS): the words stay with the operator."""
    reply = redact(str(status), secret)
    detail, private = (reply, "") if shown else (f"refused while {doing}", reply)
    pause = asked_pause(status.text)
    if _LIMITS.search(status.text):
        return Throttled(detail, retry_after=pause, private=private)
    if status.code == "LIMIT" or _CONNECTIONS.search(status.text):
        return Throttled(detail, code="too_many_connections", retry_after=pause, private=private)
    if _IMAP_OFF.search(status.text):
        return MailboxUnusable(detail, code="imap_off", private=private)
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
