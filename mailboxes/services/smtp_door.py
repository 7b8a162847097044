"""A signed-in SMTP session for a mailbox: its server, its token, and the line in the sign-in log."""

from __future__ import annotations

from collections.abc import Callable

from mailboxes import errors
from mailboxes.models import Mailbox, SignIn
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.smtp import SmtpSession
from mailboxes.services import egress, tokens

CONNECT_SECONDS = 30.0
SIGN_IN_SECONDS = 30.0

Told = Callable[[str], None]


class SmtpDoor:
    """Keeps one session open for the messages of one claim, as long as its token lives.

    `sign_ins`: what happened, for the next transaction of the ledger.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._session: SmtpSession | None = None
        self._generation = 0
        self.sign_ins: list[SignIn] = []

    def bearer(self) -> tokens.Bearer:
        """The grant as it is now; asked for before each message, so that none leaves after a revocation."""
        if self._mailbox.token_id is None:
            raise errors.ConsentNeeded(code="not_connected")
        return tokens.bearer(self._mailbox.token_id)

    def open(self, bearer: tokens.Bearer, *, connected: Told, signed_in: Told) -> SmtpSession:
        """A session signed in with this very token; `connected` and `signed_in` are told as soon as it is so.

        A refused sign-in says nothing of the grant: the token is renewed once and tried once more (PROVIDERS.md).
        Raises MailError.
        """
        session = self._session
        if session is not None and not session.closed and self._generation == bearer.generation:
            signed_in("on the connection that was open")
            return session
        self.close()
        try:
            return self._sign_in(bearer, connected, signed_in)
        except errors.MailboxUnusable:
            raise
        except errors.SignInRefused:
            assert self._mailbox.token_id is not None
            newer = tokens.bearer(self._mailbox.token_id, newer_than=bearer.generation)
            return self._sign_in(newer, connected, signed_in)

    def reset(self) -> None:
        """After a refused envelope; raises nothing."""
        if self._session is not None and not self._session.closed:
            try:
                self._session.reset()
            except errors.MailError:
                self.drop()

    def close(self) -> None:
        """Ends the session with a QUIT where there is one; raises nothing."""
        if self._session is not None:
            self._session.quit()
            self._session = None

    def drop(self) -> None:
        """Ends the connection without another word."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _sign_in(self, bearer: tokens.Bearer, connected: Told, signed_in: Told) -> SmtpSession:
        server = self._mailbox.provider_app.server("smtp")
        if server is None:
            raise errors.AppMisconfigured("the provider app names no SMTP server")
        session = SmtpSession.connect(
            server["host"],
            server["port"],
            security=server["security"],
            egress=egress.for_tenant(self._mailbox.tenant),
            deadline=Deadline(CONNECT_SECONDS),
        )
        try:
            connected(f"{server['host']}:{server['port']}")
            session.deadline = Deadline(SIGN_IN_SECONDS)
            told = session.sign_in(self._mailbox.address, bearer.access_token)
        except BaseException:
            session.close()
            raise
        finally:
            self._log(session, bearer)
        self._session, self._generation = session, bearer.generation
        signed_in(f"{told.mechanism}: {told.reply}")
        return session

    def _log(self, session: SmtpSession, bearer: tokens.Bearer) -> None:
        if (told := session.last_sign_in) is not None:
            self.sign_ins.append(
                SignIn(
                    tenant_id=self._mailbox.tenant_id,
                    mailbox=self._mailbox,
                    protocol="smtp",
                    mechanism=told.mechanism,
                    outcome=told.outcome,
                    reply=told.reply[:500],
                    milliseconds=told.milliseconds,
                    token_generation=bearer.generation,
                )
            )
