"""SMTP replies: read whole, with their enhanced codes (RFC 5321, 4.2; RFC 2034), and what a refused sign-in means."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailboxes.errors import MailboxUnusable, MailError, ProtocolFault, ServerUnavailable, SignInRefused, Throttled
from mailboxes.protocols.replies import asked_pause, redact
from mailboxes.protocols.stream import Stream

MAX_LINE = 4096  # RFC 5321 allows 512; servers say more
MAX_LINES = 200

_LINE = re.compile(rb"([2-5]\d\d)([ -]?)(.*)\Z", re.S)
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?: |$)")

# Microsoft: SMTP AUTH is off for the organisation or this mailbox. Google: the account must sign in elsewhere first.
_SWITCHED_OFF = re.compile(r"smtpclientauthentication is disabled|5\.7\.139|smtp auth(entication)? is disabled", re.I)
_LIMITS = re.compile(r"too many|throttl|concurrent connections|rate limit|backoff time|\b4\.7\.28\b|\b4\.3\.2\b", re.I)


@dataclass(frozen=True, slots=True)
class Reply:
    """`text` is the server's own, lines joined by a newline, enhanced code included; `str()` is fit for logs."""

    code: int
    text: str = ""

    @property
    def enhanced(self) -> str:
        found = _ENHANCED.match(self.text)
        return found[0].strip() if found else ""

    @property
    def ok(self) -> bool:
        return 200 <= self.code < 300

    @property
    def permanent(self) -> bool:
        return self.code >= 500

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    def shown(self, secret: str = "") -> str:
        """In one line: the enhanced code that each line repeats stands once."""
        enhanced = self.enhanced
        lines = [line.removeprefix(enhanced).strip() if n and enhanced else line for n, line in enumerate(self.lines)]
        return redact(f"{self.code} {' '.join(lines)}", secret)

    def __str__(self) -> str:
        return self.shown()


def read_reply(stream: Stream) -> Reply:
    """One reply of one or many lines. Raises ProtocolFault on what is none, ConnectionLost at the end."""
    texts: list[str] = []
    code = 0
    for _ in range(MAX_LINES):
        found = _LINE.match(stream.readline(MAX_LINE).rstrip(b"\r\n"))
        if found is None or (code and int(found[1]) != code):
            stream.close()
            raise ProtocolFault(f"a reply that is none, while {stream.doing}")
        code = int(found[1])
        texts.append(found[3].decode("utf-8", "replace"))
        if found[2] != b"-":
            return Reply(code, "\n".join(texts))
    stream.close()
    raise ProtocolFault(f"a reply without end, while {stream.doing}")


def parse_reply(data: bytes) -> Reply | None:
    """The first line of a reply that came out of turn; None when it is none."""
    found = _LINE.match(data.split(b"\r\n")[0])
    return Reply(int(found[1]), found[3].decode("utf-8", "replace")) if found else None


def session_failure(reply: Reply, *, signing_in: bool = False, secret: str = "", shown: bool = True) -> MailError:
    """What a refusal before any message means. `shown=False` (before TLS): the words stay with the operator."""
    words = reply.shown(secret)
    detail, private = (words, "") if shown else (f"refused with {reply.code}", words)
    if _SWITCHED_OFF.search(reply.text):
        return MailboxUnusable(detail, code="smtp_auth_off", private=private)
    if reply.code == 421 or not reply.permanent:
        if _LIMITS.search(reply.text):
            return Throttled(detail, retry_after=asked_pause(reply.text), private=private)
        return ServerUnavailable(detail, retry_after=asked_pause(reply.text), private=private)
    if signing_in:
        return SignInRefused(detail, private=private)
    if reply.code == 554:  # instead of a greeting: no service here (RFC 5321, 3.1)
        return ServerUnavailable(detail, private=private)
    return ProtocolFault(detail, private=private)
