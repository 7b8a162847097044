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

from collections.abc import Callable, Sequence

from mailboxes.errors import Deferred, MailError, ProtocolFault, Rejected, Uncertain
from mailboxes.protocols.dots import longest_line, needs_8bit, normal_form, stuffed
from mailboxes.protocols.replies import asked_pause
from mailboxes.protocols.smtp_address import path, path_is_ascii
from mailboxes.protocols.smtp_connection import SmtpConnection
from mailboxes.protocols.smtp_reply import Reply, parse_reply, read_reply, session_failure
from mailboxes.protocols.stream import Stream

SILENCE_IN_DATA = 600.0  # seconds: a server may take ten minutes to judge a message (RFC 5321, 4.5.3.2.6)
PIECE = 256 * 1024  # bytes sent before a look at what the server says
LONGEST_LINE = 998  # bytes (RFC 5321, 4.5.3.1.6)


class SmtpSession(SmtpConnection):
    def __init__(self, stream: Stream, host: str, port: int) -> None:
        super().__init__(stream, host, port)
        self._accepted = 0

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
            fault = self._refused((passing or replies)[-1], "rcpt", code="recipients_refused")
            fault.answers = tuple(str(reply) for reply in replies[1:])
            raise fault
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
