"""Does this token open this mailbox? Asked of the mail servers themselves, all protocols at once, in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.views.decorators.debug import sensitive_variables

from mailboxes.errors import MailError
from mailboxes.models import Mailbox, ProviderApp, SignIn
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.imap import ImapSession
from mailboxes.protocols.network import Deadline
from mailboxes.protocols.sign_in import SignInResult
from mailboxes.protocols.smtp import SmtpSession
from mailboxes.services import egress
from mailboxes.services.tokens import Bearer

LONGEST = 15.0  # seconds that a person waits for it in the callback


@dataclass(frozen=True)
class Check:
    """One protocol's answer, for people (`text`) and for the sign-in log (`sign_in`)."""

    name: str  # imap, pop3, smtp
    ok: bool
    text: str
    milliseconds: int
    error: MailError | None = None
    sign_in: SignInResult | None = None


@sensitive_variables()
def prove(
    app: ProviderApp, address: str, bearer: Bearer, *, receive: str, send: bool, deadline_seconds: float = LONGEST
) -> list[Check]:
    """A sign-in on each protocol that the mailbox shall use, in the order in which it matters.

    Receiving: the inbox is opened read-only. Sending: signed in, nothing handed over. Raises nothing.
    """
    wanted = [name for name in (receive, "smtp" if send else "") if name and name != Mailbox.Receive.NONE]
    outside = egress.for_tenant(app.tenant)
    deadline = Deadline(deadline_seconds)
    with ThreadPoolExecutor(max_workers=len(wanted) or 1, thread_name_prefix="prove") as pool:
        running = [
            pool.submit(_check, name, app.server(name), address, bearer.access_token, outside, deadline)
            for name in wanted
        ]
        return [check.result() for check in running]


def log(mailbox: Mailbox, checks: list[Check], generation: int) -> None:
    """Each check as a line of the sign-in log."""
    SignIn.objects.bulk_create(
        SignIn(
            tenant_id=mailbox.tenant_id,
            mailbox=mailbox,
            protocol=check.name,
            mechanism=check.sign_in.mechanism if check.sign_in else "",
            outcome=check.sign_in.outcome if check.sign_in else "failed",
            reply=check.sign_in.reply if check.sign_in else check.text,
            milliseconds=check.milliseconds,
            token_generation=generation,
        )
        for check in checks
    )


@sensitive_variables()
def _check(
    name: str, server: dict[str, Any] | None, address: str, access_token: str, outside: Egress, deadline: Deadline
) -> Check:
    began = time.monotonic()

    def passed() -> int:
        return round((time.monotonic() - began) * 1000)

    if server is None or name not in _SESSIONS:
        return Check(name, False, "the provider app names no such server", 0, MailError(code="app_misconfigured"))
    kind, finish = _SESSIONS[name]
    result: SignInResult | None = None
    try:
        session = kind.connect(
            server["host"], server["port"], security=server["security"], egress=outside, deadline=deadline
        )
        try:
            result = session.sign_in(address, access_token)
            text = finish(session)
        finally:
            result = result or session.last_sign_in
            session.close()
    except (MailError, TimeoutError) as error:
        fault = error if isinstance(error, MailError) else MailError("no time left", code="connection_lost")
        return Check(name, False, fault.detail, passed(), fault, result)
    return Check(name, True, text, passed(), None, result)


def _open_inbox(session: Any) -> str:
    opened = session.examine("INBOX")
    session.logout()
    return f"Signed in; the inbox holds {opened.exists:,} messages."


def _leave(session: Any) -> str:
    session.quit()
    return "Signed in."


_SESSIONS: dict[str, tuple[Any, Callable[[Any], str]]] = {
    "imap": (ImapSession, _open_inbox),
    "smtp": (SmtpSession, _leave),
}
