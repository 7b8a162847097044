"""Everything a provider or a mail server can do to us, and what follows from it.

MailError                     root; jobs read its attributes, never its text
├── Unreachable               refused, closed, filtered, or not allowed: one wording for all
├── ConnectionLost            the line broke in the middle
│   └── AnswerLost            … after a token request had left: the provider may have acted on it
├── ServerUnavailable         it answers, but cannot serve now (UNAVAILABLE, SYS/TEMP, 4xx, 5xx of HTTP)
│   └── Throttled             it named a time (or a limit of connections)
├── TlsRefused                certificate, name or version is not acceptable; or STARTTLS is missing
├── SignInRefused             the mail server did not take the token (says nothing about the grant)
│   └── MailboxUnusable       the token was taken, the mailbox behind it cannot be opened
├── ProtocolFault             an answer outside the protocol, or over our limits
├── GrantError                what the token endpoint decides
│   ├── ConsentNeeded         only the owner's new consent helps
│   ├── AppMisconfigured      our provider app is wrong: an administrator must change it
│   ├── AdminApprovalNeeded   the provider's administrator must approve
│   └── TokenBusy             another process refreshes right now; come back
├── KeyWrong                  a stored secret cannot be opened with the configured keys
├── BodyUnreadable            the stored bytes of a message are damaged or gone
│   └── StorageFault          … or only cannot be read now
└── LeaseLost                 somebody else owns this mailbox now; stop and change nothing
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

Fixer = Literal["owner", "admin", "provider_admin", "operator", "nobody"]


class MailError(Exception):
    """Root of all a mail server or provider can do to us.

    `code` names the row in words.REASONS; `detail` is the provider's own reply, redacted, for "Details".
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False  # may the same call succeed later, without anybody doing anything?
    needs_consent: ClassVar[bool] = False  # must the owner grant access again?

    def __init__(
        self, detail: str = "", *, code: str | None = None, retry_after: timedelta | None = None, private: str = ""
    ) -> None:
        super().__init__(detail or self.code)
        self.detail = detail[:500]
        self.reason = code or self.code
        self.retry_after = retry_after
        self.private = private[:500]
        """For the operator's log alone: what a tenant must not learn (addresses, which refusal it was)."""


class Unreachable(MailError):
    """No connection: name unknown, refused, filtered, or an address that is not allowed."""

    code = "unreachable"
    retryable = True


class ConnectionLost(MailError):
    """The connection ended before the answer was complete."""

    code = "connection_lost"
    retryable = True


class AnswerLost(ConnectionLost):
    """A request to the token endpoint left, but no usable answer came: the provider may have acted on it."""


class ServerUnavailable(MailError):
    """The server says that it cannot serve now: IMAP [UNAVAILABLE], POP3 [SYS/TEMP], SMTP 4xx, HTTP 5xx."""

    code = "provider_down"
    retryable = True


class Throttled(ServerUnavailable):
    """The server asked for a pause; `retry_after` holds it when a time was named."""

    code = "throttled"


class TlsRefused(MailError):
    """The server's certificate, name or TLS version is not acceptable, or STARTTLS is not offered."""

    code = "tls_untrusted"


class SignInRefused(MailError):
    """The mail server refused the token. By itself never a reason to ask the owner again (PROVIDERS: unknown refusal)."""

    code = "signin_refused"
    retryable = True


class MailboxUnusable(SignInRefused):
    """Authentication succeeded, but the mailbox cannot be opened: licence, IMAP off, or a token for another mailbox."""

    code = "mailbox_unusable"


class ProtocolFault(MailError):
    """An answer that the protocol does not know, or that is larger than our limits."""

    code = "protocol_fault"
    retryable = True


class CommandRefused(ProtocolFault):
    """IMAP NO to one command: a folder that is gone, a right that is missing. `response_code` is RFC 5530's, or ''."""

    def __init__(self, detail: str = "", *, private: str = "", response_code: str = "") -> None:
        super().__init__(detail, private=private)
        self.response_code = response_code


class DeliveryFault(MailError):
    """A message that was being handed over did not go through.

    `stage` is the SMTP step: mail, rcpt, data, body, dot. `reply` is the server's answer, redacted ('' when none came),
    `status` its number (0: none). Raised only once signed in: what fails earlier left nothing of the message anywhere.
    """

    code = "rejected"
    dot_may_have_left: ClassVar[bool] = False

    def __init__(
        self,
        detail: str = "",
        *,
        stage: str,
        status: int = 0,
        enhanced: str = "",
        retry_after: timedelta | None = None,
        code: str | None = None,
        private: str = "",
    ) -> None:
        super().__init__(detail, code=code, retry_after=retry_after, private=private)
        self.stage = stage
        self.status = status
        self.enhanced = enhanced  # RFC 3463, such as "5.7.1"; '' when the server gave none
        self.reply = detail[:500] if status else ""
        self.answers: tuple[str, ...] = ()
        """One a recipient, in their order, where each of them was refused."""


class Rejected(DeliveryFault):
    """5xx: the same message will be refused again."""


class Deferred(DeliveryFault):
    """4xx, or a line that broke before the final dot: the server does not have it, a later try may succeed."""

    code = "deferred"
    retryable = True


class Uncertain(DeliveryFault):
    """The final dot may have left, and no answer came. Never sent again by itself."""

    code = "reply_lost"
    dot_may_have_left = True


class GrantError(MailError):
    """What the token endpoint says of the grant."""

    code = "grant"


class ConsentNeeded(GrantError):
    """invalid_grant, interaction_required, consent_required (RFC 6749, section 5.2; OpenID Connect Core, 3.1.2.6)."""

    code = "consent_revoked"
    needs_consent = True


class AppMisconfigured(GrantError):
    """invalid_client, unauthorized_client, invalid_scope …: our registration at the provider is wrong (RFC 6749, 5.2)."""

    code = "app_misconfigured"


class AdminApprovalNeeded(GrantError):
    """The provider's administrator must approve this client first."""

    code = "admin_approval"


class TokenBusy(GrantError):
    """Another process holds the refresh lease. `retry_after` says when to look again."""

    code = "token_busy"
    retryable = True


class KeyWrong(MailError):
    """A stored secret cannot be opened: MAILHUB_ENCRYPTION_KEYS lacks the key that sealed it."""

    code = "key_wrong"


class BodyUnreadable(MailError):
    """What lies in the pack is not what was stored: changed, cut, or gone. Never answered in part."""

    code = "body_unreadable"


class StorageFault(BodyUnreadable):
    """The storage cannot be read now: no file handles, a network drive that is away. The bytes may be sound."""

    code = "storage_fault"
    retryable = True


class LeaseLost(MailError):
    """The row's lease is no longer ours: roll back and stop (never shown; not a fault of the mailbox)."""

    code = "lease_lost"
    retryable = True
