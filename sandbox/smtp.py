"""The submission server: aiosmtpd with bearer sign-in, delivering into the sandbox's own mailboxes, and nowhere else."""

from __future__ import annotations

import asyncio
import binascii
import logging
import socket
import ssl
import warnings
from base64 import b64decode
from typing import Any

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope
from aiosmtpd.smtp import Session as SmtpSession

from sandbox import sasl
from sandbox.faults import Faults
from sandbox.people import PEOPLE
from sandbox.post_office import PostOffice
from sandbox.store import Grants

SCOPE = "mail.smtp"
LARGEST = 35_882_577  # bytes of a message: Gmail's limit


class CommandLimits(dict[str, int]):
    """Longest command lines in bytes. RFC 4954, section 4: 12,288 for an AUTH line; aiosmtpd's 512 break long tokens."""

    def __init__(self) -> None:
        super().__init__(AUTH=12288 + 20, MAIL=1024, RCPT=1024)

    def __missing__(self, command: str) -> int:
        return 512


class Handler:
    def __init__(self, office: PostOffice, grants: Grants, faults: Faults) -> None:
        self._office, self._grants, self._faults = office, grants, faults

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._sign_in("XOAUTH2", server, args)

    async def auth_OAUTHBEARER(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._sign_in("OAUTHBEARER", server, args)

    async def _sign_in(self, mechanism: str, server: SMTP, args: list[str]) -> AuthResult:
        try:
            message: Any = b64decode(args[1], validate=True) if len(args) == 2 else await server.challenge_auth("")
        except binascii.Error:
            return _refused("501 5.5.2 not base64")
        if message is MISSING:
            return AuthResult(success=False)
        bearer = sasl.parse(mechanism, message)
        if bearer is None:
            return _refused("501 5.5.2 malformed")
        if reply := self._faults.take("smtp_auth", bearer.user):
            return _refused(reply)
        if reason := sasl.refusal(self._grants, mechanism, bearer, SCOPE):
            await server.challenge_auth(reason)
            return _refused("535 5.7.8 Username and Password not accepted.")
        return AuthResult(success=True, auth_data=bearer.user)

    async def handle_MAIL(
        self, server: SMTP, session: SmtpSession, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if reply := self._faults.take("smtp_mail", _sender(session)):
            return str(reply)
        if address.lower() != _sender(session):
            return "550 5.7.60 this account may not send as that address"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: SmtpSession, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if reply := self._faults.take("smtp_rcpt", _sender(session)):
            return str(reply)
        if address.lower() not in PEOPLE:
            return "550 5.1.1 no such mailbox in the sandbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: SmtpSession, envelope: Envelope) -> str:
        sender = _sender(session)
        assert isinstance(envelope.content, bytes)  # decode_data is off
        if reply := self._faults.take("smtp_data", sender):
            return str(reply)
        cut = self._faults.take("smtp_drop_at_dot", sender)
        if cut != "before":
            await self._office.submit(sender, envelope.rcpt_tos, envelope.content)
        if cut:
            server.transport.abort()
            return "421 4.3.2 cut"
        if delay := self._faults.take("smtp_data_delay", sender):
            await asyncio.sleep(delay)
        return "250 2.0.0 OK delivered in the sandbox"


def _sender(session: Any) -> str:
    """Who signed in; nobody gets as far as MAIL without."""
    return str(session.auth_data)


def _refused(reply: str) -> AuthResult:
    return AuthResult(success=False, handled=False, message=reply)


class Submission(SMTP):
    line_length_limit = 16384  # the reader's limit too: 1001 breaks long tokens sent in a second step

    def __init__(self, handler: Handler, **options: Any) -> None:
        super().__init__(
            handler,
            hostname="sandbox.test",
            ident="Mailhub sandbox",
            auth_required=True,
            auth_exclude_mechanism=("PLAIN", "LOGIN"),
            data_size_limit=LARGEST,
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
            **options,
        )
        self.command_size_limits = CommandLimits()


class SmtpServer:
    def __init__(self, office: PostOffice, grants: Grants, faults: Faults, context: ssl.SSLContext) -> None:
        self._handler, self._context = Handler(office, grants, faults), context
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        # aiosmtpd does not see implicit TLS: it must be told that AUTH needs no STARTTLS, and warns each time.
        warnings.filterwarnings("ignore", module="aiosmtpd")

    async def start(self, listener: socket.socket, *, implicit_tls: bool) -> None:
        def session() -> Submission:
            if implicit_tls:
                return Submission(self._handler, auth_require_tls=False)
            return Submission(self._handler, tls_context=self._context, require_starttls=True)

        context = self._context if implicit_tls else None
        await asyncio.get_running_loop().create_server(session, sock=listener, ssl=context)
