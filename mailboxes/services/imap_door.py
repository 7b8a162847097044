"""A signed-in IMAP session for a mailbox: its server, its token, and the line in the sign-in log."""

from __future__ import annotations

from collections.abc import Callable

from mailboxes import errors
from mailboxes.models import Mailbox, SignIn
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.imap import ImapSession
from mailboxes.services import egress, tokens

SIGN_IN_SECONDS = 30.0

Note = Callable[[SignIn], None]


def open_imap(mailbox: Mailbox, note: Note) -> ImapSession:
    """Raises what the server and the token endpoint do to us (MailError).

    A refused sign-in says nothing of the grant: the token is renewed once and tried once more (PROVIDERS.md).
    """
    if mailbox.token_id is None:
        raise errors.ConsentNeeded(code="not_connected")
    bearer = tokens.bearer(mailbox.token_id)
    try:
        return _sign_in(mailbox, bearer, note)
    except errors.MailboxUnusable:
        raise
    except errors.SignInRefused:
        newer = tokens.bearer(mailbox.token_id, newer_than=bearer.generation)
        return _sign_in(mailbox, newer, note)


def _sign_in(mailbox: Mailbox, bearer: tokens.Bearer, note: Note) -> ImapSession:
    server = mailbox.provider_app.server("imap")
    if server is None:
        raise errors.AppMisconfigured("the provider app names no IMAP server")
    session = ImapSession.connect(
        server["host"],
        server["port"],
        security=server["security"],
        egress=egress.for_tenant(mailbox.tenant),
        deadline=Deadline(SIGN_IN_SECONDS),
    )
    try:
        session.sign_in(mailbox.address, bearer.access_token)
    except BaseException:
        session.close()
        raise
    finally:
        if (told := session.last_sign_in) is not None:
            note(
                SignIn(
                    tenant_id=mailbox.tenant_id,
                    mailbox=mailbox,
                    protocol="imap",
                    mechanism=told.mechanism,
                    outcome=told.outcome,
                    reply=told.reply[:500],
                    milliseconds=told.milliseconds,
                    token_generation=bearer.generation,
                )
            )
    return session
