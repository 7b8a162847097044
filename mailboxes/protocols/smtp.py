"""Submission by SMTP (RFC 6409), one step at a time, so that the caller can write each into its ledger before it is taken.

    session = SmtpSession.connect(host, port, security="starttls", egress=egress, deadline=Deadline(30))
    session.sign_in(address, access_token)
    replies = session.envelope(sender, recipients, raw)
    final = session.data(raw, before_dot=write_the_marker)
    session.quit()

Until the envelope, faults are MailErrors about the session; from there on they are DeliveryFaults: Rejected, Deferred or
Uncertain. Uncertain is raised only when the final dot may have left.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Literal, Self

from mailboxes.errors import Deferred, MailError, ProtocolFault, Rejected, TlsRefused, Uncertain
from mailboxes.protocols import sasl
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.dots import longest_line, needs_8bit, normal_form, stuffed
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.replies import asked_pause
from mailboxes.protocols.sign_in import SignInResult
from mailboxes.protocols.smtp_address import path, path_is_ascii
from mailboxes.protocols.smtp_reply import Reply, parse_reply, read_reply, session_failure
from mailboxes.protocols.stream import Stream

FAREWELL = 2.0  # seconds for QUIT
SILENCE_IN_DATA = 600.0  # seconds: a server may take ten minutes to judge a message (RFC 5321, 4.5.3.2.6)
PIECE = 256 * 1024  # bytes sent before a look at what the server says
LONGEST_LINE = 998  # bytes (RFC 5321, 4.5.3.1.6)


class SmtpSession:
    def __init__(self, stream: Stream, host: str, port: int) -> None:
        self._stream = stream
        self._host, self._port = host, port
        self._accepted = 0
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

    # -- a message --------------------------------------------------------------------------------------------------

    def envelope(self, sender: str, recipients: Sequence[str], message: bytes) -> list[Reply]:
        """MAIL and all RCPT; one reply a recipient, in their order, refused ones included: look at `Reply.ok`.

        In one flight where the server can (PIPELINING, RFC 2920). Raises Rejected or Deferred when MAIL is refused, and
        when no recipient is accepted.
        """
        commands = [self._mail_command(sender, recipients, message)]
        commands += [f"RCPT TO:{path(recipient, 'rcpt', self.extensions)}" for recipient in recipients]
        self._accepted = 0
        replies: list[Reply] = []
        try:
            if "PIPELINING" in self.extensions:
                self._stream.doing = "naming the recipients"
                self._stream.send("".join(f"{command}\r\n" for command in commands).encode())
                replies = [read_reply(self._stream) for _ in commands]
            else:
                for command in commands:
                    self._stream.doing = "naming the recipients" if replies else "naming the sender"
                    replies.append(self._command(command))
                    if not replies[0].ok or replies[-1].code == 421:
                        break
        except MailError as error:
            stage = "rcpt" if replies else "mail"
            raise Deferred(error.detail, stage=stage, private=error.private) from error
        if not replies[0].ok:
            raise self._refused(replies[0], "mail")
        if replies[-1].code == 421:
            raise self._refused(replies[-1], "rcpt")
        self._accepted = sum(reply.ok for reply in replies[1:])
        if not self._accepted:
            passing = [reply for reply in replies[1:] if not reply.permanent]
            raise self._refused((passing or replies)[-1], "rcpt", code="recipients_refused")
        return replies[1:]

    def _mail_command(self, sender: str, recipients: Sequence[str], message: bytes) -> str:
        """Raises Rejected for a message that this server cannot take, before it is told of it."""
        message = normal_form(message)
        limit = self.extensions.get("SIZE", "")
        if limit.isdigit() and 0 < int(limit) < len(message):
            words = f"the message has {len(message)} bytes, the server takes {int(limit)}"
            raise Rejected(words, stage="mail", code="too_large")
        if longest_line(message) > LONGEST_LINE:
            raise Rejected(f"the message has a line of more than {LONGEST_LINE} bytes", stage="mail")
        command = f"MAIL FROM:{path(sender, 'mail', self.extensions)}"
        if "SIZE" in self.extensions:
            command += f" SIZE={len(message)}"
        if needs_8bit(message):
            if "8BITMIME" not in self.extensions:
                raise Rejected("the message has 8-bit characters, the server takes 7-bit alone", stage="mail")
            command += " BODY=8BITMIME"
        header = message.partition(b"\r\n\r\n")[0]
        if not header.isascii() or not all(path_is_ascii(address) for address in (sender, *recipients)):
            if "SMTPUTF8" not in self.extensions:
                raise Rejected("an address or header has letters that the server cannot take (SMTPUTF8)", stage="mail")
            command += " SMTPUTF8"
        return command

    def data(self, message: bytes, *, before_dot: Callable[[], None]) -> Reply:
        """Hands the message over in its normal form (dots.normal_form). Returns the server's acceptance.

        Everything but the final dot is sent, then `before_dot` is called, which commits the marker "dot follows". What
        it raises goes through, the connection is closed and the server has no message. Raises Rejected, Deferred (also
        for a line that broke before the dot), Uncertain.
        """
        if not self._accepted:
            raise ProtocolFault("no recipient was accepted")
        self._accepted = 0
        self._stream.wait_longer(SILENCE_IN_DATA)
        content = stuffed(message)
        self._stream.doing = "announcing the message"
        try:
            reply = self._command("DATA")
        except MailError as error:
            raise Deferred(error.detail, stage="data", private=error.private) from error
        if reply.code != 354:
            raise self._refused(reply, "data")
        self._send_content(content)
        try:
            before_dot()
        except BaseException:
            self._stream.close()  # without the dot the server must not deliver (RFC 5321, 4.1.1.4)
            raise
        self._stream.doing = "waiting for the server to take the message"
        try:
            final = self._send_line(b".")
        except MailError as error:
            self._stream.close()
            raise Uncertain(error.detail, stage="dot", private=error.private) from error
        if final.ok:
            return final
        if final.code < 400:
            self._stream.close()
            raise Uncertain(f"an answer that is none: {final}", stage="dot")
        raise self._refused(final, "dot")

    def _send_content(self, content: bytes) -> None:
        """In pieces: it is not the server's turn, so what it says in between is why it does not take the message."""
        self._stream.doing = "sending the message"
        lost: MailError | None = None
        said: bytes | None = None
        view = memoryview(content)
        try:
            for start in range(0, len(content), PIECE):
                self._stream.send(view[start : start + PIECE], keep=True)
                if (said := self._stream.overheard()) is not None:
                    break
        except MailError as error:
            lost, said = error, self._stream.overheard()
        if lost is None and said is None:
            return
        self._stream.close()
        reply = parse_reply(said) if said else None
        if reply is not None and reply.code >= 400:
            raise self._refused(reply, "body")
        words = lost.detail if lost else "the connection ended while sending the message"
        raise Deferred(words, stage="body", private=lost.private if lost else "") from lost

    def reset(self) -> None:
        """RSET: forgets the envelope, so that the session may take another message."""
        self._stream.doing = "resetting"
        self._accepted = 0
        reply = self._command("RSET")
        if not reply.ok:
            raise session_failure(reply)

    # -- commands ---------------------------------------------------------------------------------------------------

    def _command(self, command: str) -> Reply:
        if "\r" in command or "\n" in command or "\0" in command:
            raise ProtocolFault("a command with control characters")
        return self._send_line(command.encode())

    def _send_line(self, line: bytes) -> Reply:
        self._stream.send(line + b"\r\n")
        return read_reply(self._stream)

    def _refused(self, reply: Reply, stage: str, *, code: str | None = None) -> Rejected | Deferred:
        if reply.code == 421:
            self._stream.close()
        kind = Rejected if reply.permanent else Deferred
        return kind(
            str(reply),
            stage=stage,
            status=reply.code,
            enhanced=reply.enhanced,
            retry_after=asked_pause(reply.text),
            code=code if reply.permanent else None,
        )


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
