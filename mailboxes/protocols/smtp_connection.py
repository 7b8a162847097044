"""An SMTP connection: greeting, EHLO, TLS, sign-in. The message itself is handed over in smtp.py."""

from __future__ import annotations

import contextlib
import time
from types import TracebackType
from typing import Literal, Self

from mailboxes.errors import MailError, ProtocolFault, TlsRefused
from mailboxes.protocols import sasl
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.sign_in import SignInResult
from mailboxes.protocols.smtp_reply import Reply, read_reply, session_failure
from mailboxes.protocols.stream import Stream

FAREWELL = 2.0  # seconds for QUIT


class SmtpConnection:
    """Connected, greeted, under TLS; signs in and runs commands."""

    def __init__(self, stream: Stream, host: str, port: int) -> None:
        self._stream = stream
        self._host, self._port = host, port
        self.extensions: dict[str, str] = {}
        self.last_sign_in: SignInResult | None = None

    # -- connection -------------------------------------------------------------------------------------------------

    @classmethod
    def connect(
        cls, host: str, port: int, *, security: Literal["tls", "starttls"], egress: Egress, deadline: Deadline
    ) -> Self:
        """Greeted, under TLS, EHLO said. Raises Unreachable, TlsRefused (also when STARTTLS is missing) …"""
        stream = Stream.open(host, port, tls=security == "tls", egress=egress, deadline=deadline)
        session = cls(stream, host, port)
        try:
            stream.doing = "waiting for the greeting"
            greeting = read_reply(stream)
            if greeting.code != 220:
                raise session_failure(greeting, shown=stream.secured)
            session._ehlo()
            if security == "starttls":
                stream.doing = "asking for TLS"
                answer = session._command("STARTTLS")
                if answer.code != 220:
                    raise TlsRefused("the server does not offer STARTTLS", private=str(answer))
                stream.secure(host, egress)
                session._ehlo()  # what was said in clear does not count (RFC 3207, 4.2)
        except MailError:
            stream.close()
            raise
        return session

    def _ehlo(self) -> None:
        self._stream.doing = "saying hello"
        reply = self._command(f"EHLO {self._stream.local_address()}")
        if not reply.ok:
            raise session_failure(reply, shown=self._stream.secured)
        self.extensions = {}
        for line in reply.lines[1:]:
            keyword, _, parameters = line.strip().replace("AUTH=", "AUTH ", 1).partition(" ")
            known = self.extensions.get(keyword.upper(), "")
            self.extensions[keyword.upper()] = f"{known} {parameters}".strip()

    @property
    def deadline(self) -> Deadline:
        return self._stream.deadline

    @deadline.setter
    def deadline(self, deadline: Deadline) -> None:
        self._stream.deadline = deadline

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def quit(self) -> None:
        """Says goodbye where that takes no time; never raises, never waits longer than FAREWELL."""
        if not self._stream.closed:
            self.deadline = Deadline(FAREWELL)
            with contextlib.suppress(MailError):
                self._command("QUIT")
        self._stream.close()

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.quit()
        else:
            self.close()

    # -- sign-in ----------------------------------------------------------------------------------------------------

    def sign_in(self, user: str, token: str) -> SignInResult:
        """AUTH with the bearer token, always in two steps: a long one-line AUTH is refused by many (PROVIDERS.md).

        `last_sign_in` is set in every case. Raises SignInRefused (says nothing of the grant), MailboxUnusable (SMTP AUTH
        is off), Throttled, ServerUnavailable, ConnectionLost.
        """
        started = time.monotonic()
        mechanism = ""
        try:
            chosen = sasl.choose(self.extensions.get("AUTH", "").split())
            if chosen is None:
                raise ProtocolFault("the server offers neither XOAUTH2 nor OAUTHBEARER")
            mechanism = chosen
            reply = self._authenticate(chosen, user, token)
        except MailError as error:
            self.last_sign_in = SignInResult.of_error(error, mechanism, _since(started))
            raise
        self.last_sign_in = SignInResult(mechanism, "ok", reply.shown(token), _since(started))
        return self.last_sign_in

    def _authenticate(self, mechanism: sasl.Mechanism, user: str, token: str) -> Reply:
        self._stream.doing = "signing in"
        response = sasl.initial_response(mechanism, user, token, host=self._host, port=self._port)
        reply = self._command(f"AUTH {mechanism}")
        reason: sasl.Challenge | None = None
        if reply.code == 334:
            reply = self._send_line(sasl.encode(response))
        if reply.code == 334:
            reason = sasl.read_challenge(reply.text.encode())
            reply = self._send_line(sasl.encode(sasl.answer_to_error(mechanism)))
        if reply.code == 235:
            return reply
        if reply.code < 400:
            self._stream.close()
            raise ProtocolFault("the server does not follow the sign-in it announced")
        error = session_failure(reply, signing_in=True, secret=token)
        if reason and str(reason):
            error.detail = f"{error.detail} ({reason})"
        raise error

    # -- commands ---------------------------------------------------------------------------------------------------

    def _command(self, command: str) -> Reply:
        if "\r" in command or "\n" in command or "\0" in command:
            raise ProtocolFault("a command with control characters")
        return self._send_line(command.encode())

    def _send_line(self, line: bytes) -> Reply:
        self._stream.send(line + b"\r\n")
        return read_reply(self._stream)


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
