"""An IMAP connection: greeting, TLS, sign-in, one command and its answers. What is asked for stands in imap.py."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import replace
from types import TracebackType
from typing import Literal, Self

from mailboxes.errors import MailError, ProtocolFault, TlsRefused
from mailboxes.protocols import imap_status, sasl
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.imap_folders import FolderStatus
from mailboxes.protocols.imap_wire import Response, Status, Wire
from mailboxes.protocols.replies import redact
from mailboxes.protocols.sign_in import SignInResult
from mailboxes.protocols.stream import Stream

FAREWELL = 2.0  # seconds for LOGOUT: a courtesy, not worth more
LONGEST_INITIAL_RESPONSE = 4000  # bytes; longer tokens go in two steps (servers limit the command line)

_EXISTS = re.compile(rb"(\d{1,10}) EXISTS\Z", re.I)


class ImapConnection:
    """Connected, greeted, under TLS; signs in and runs commands."""

    def __init__(self, stream: Stream, host: str, port: int) -> None:
        self._stream = stream
        self._wire = Wire(stream)
        self._host, self._port = host, port
        self._in_flight = 0
        self.capabilities: frozenset[str] = frozenset()
        self.last_sign_in: SignInResult | None = None
        self.opened: FolderStatus | None = None

    # -- connection -------------------------------------------------------------------------------------------------

    @classmethod
    def connect(
        cls, host: str, port: int, *, security: Literal["tls", "starttls"], egress: Egress, deadline: Deadline
    ) -> Self:
        """Greeted and under TLS. Raises Unreachable, TlsRefused (also when STARTTLS is missing), ServerUnavailable …"""
        stream = Stream.open(host, port, tls=security == "tls", egress=egress, deadline=deadline)
        session = cls(stream, host, port)
        try:
            session._greeting()
            if security == "starttls":
                session._start_tls(egress)
        except MailError:
            stream.close()
            raise
        return session

    def _greeting(self) -> None:
        self._stream.doing = "waiting for the greeting"
        greeting = self._wire.read()
        if greeting.tag != b"*" or greeting.status is None or greeting.status.kind not in ("OK", "BYE"):
            # PREAUTH too: a session that is signed in before TLS is not ours (RFC 8314; the attack of 2021, NO STARTTLS)
            raise ProtocolFault("the server does not greet as an IMAP server")
        if greeting.status.kind == "BYE":
            raise self._failure(greeting.status)
        self._note_capabilities(greeting)

    def _start_tls(self, egress: Egress) -> None:
        self._stream.doing = "asking for TLS"
        tag = self._wire.send(b"STARTTLS")
        for response in self._wire.until(tag):
            if response.tag == tag and response.status and response.status.kind != "OK":
                raise TlsRefused("the server does not offer STARTTLS", private=redact(str(response.status)))
        self._stream.secure(self._host, egress)
        self.capabilities = frozenset()  # what was said in clear does not count (RFC 3501, 6.2.1)

    @property
    def deadline(self) -> Deadline:
        return self._stream.deadline

    @deadline.setter
    def deadline(self, deadline: Deadline) -> None:
        self._stream.deadline = deadline

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def logout(self) -> None:
        """Says goodbye where that takes no time; never raises, never waits longer than FAREWELL."""
        if not self._stream.closed and not self._in_flight:
            self.deadline = Deadline(FAREWELL)
            with contextlib.suppress(MailError):
                for _ in self._wire.until(self._wire.send(b"LOGOUT")):
                    pass
        self._stream.close()

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.logout()
        else:
            self.close()

    # -- sign-in ----------------------------------------------------------------------------------------------------

    def sign_in(self, user: str, token: str) -> SignInResult:
        """AUTHENTICATE with the bearer token. `last_sign_in` is set in every case.

        Raises SignInRefused (says nothing of the grant), MailboxUnusable, Throttled, ServerUnavailable, ConnectionLost.
        """
        started = time.monotonic()
        mechanism: str = ""
        try:
            if not self.capabilities:
                self._read_capabilities()
            chosen = sasl.choose(self.capabilities)
            if chosen is None:
                raise ProtocolFault("the server offers neither XOAUTH2 nor OAUTHBEARER")
            mechanism = chosen
            reply = self._authenticate(chosen, user, token)
        except MailError as error:
            self.last_sign_in = SignInResult.of_error(error, mechanism, _since(started))
            raise
        self.last_sign_in = SignInResult(mechanism, "ok", reply, _since(started))
        if not self.capabilities:
            self._read_capabilities()
        return self.last_sign_in

    def _authenticate(self, mechanism: sasl.Mechanism, user: str, token: str) -> str:
        self._stream.doing = "signing in"
        first = sasl.encode(sasl.initial_response(mechanism, user, token, host=self._host, port=self._port))
        command = b"AUTHENTICATE " + mechanism.encode()
        at_once = "SASL-IR" in self.capabilities and len(first) <= LONGEST_INITIAL_RESPONSE
        tag = self._wire.send(command + b" " + first if at_once else command)
        self.capabilities = frozenset()  # after the sign-in others may hold
        said = at_once
        reason: sasl.Challenge | None = None
        for _ in range(20):
            response = self._wire.read()
            if response.tag == b"+":
                if not said:
                    self._stream.send(first + b"\r\n")
                    said = True
                elif reason is None:
                    reason = sasl.read_challenge(response.head) or sasl.Challenge()
                    self._stream.send(sasl.encode(sasl.answer_to_error(mechanism)) + b"\r\n")
                else:
                    break
            elif response.tag == tag and response.status:
                self._note_capabilities(response)
                if response.status.kind == "OK":
                    return redact(str(response.status), token)
                error = imap_status.failure(response.status, doing="signing in", signing_in=True, secret=token)
                if reason and str(reason):
                    error.detail = f"{error.detail} ({reason})"
                raise error
            elif response.tag == b"*":
                self._untagged(response)
            else:
                break
        self._stream.close()
        raise ProtocolFault("the server does not follow the sign-in it announced")

    def _read_capabilities(self) -> None:
        self._run(b"CAPABILITY", "reading the capabilities")

    def _note_capabilities(self, response: Response) -> None:
        status = response.status
        if status and status.code == "CAPABILITY":
            self.capabilities = frozenset(status.code_value.upper().split())
        elif response.head[:11].upper() == b"CAPABILITY ":
            self.capabilities = frozenset(response.head[11:].decode("ascii", "replace").upper().split())

    # -- commands ---------------------------------------------------------------------------------------------------

    def _run(self, command: bytes, doing: str) -> list[Response]:
        """Sends one command; returns its untagged responses. Raises what its status means."""
        self._stream.doing = doing
        tag = self._wire.send(command)
        responses = []
        for response in self._wire.until(tag):
            self._untagged(response)
            if response.tag == tag and response.status and response.status.kind != "OK":
                raise self._failure(response.status)
            responses.append(response)
        return responses

    def _untagged(self, response: Response) -> None:
        """What any command may be told besides its answer."""
        self._note_capabilities(response)
        if response.status and response.status.kind == "BYE":
            raise self._failure(response.status)
        count = self._told_exists(response)
        if self.opened and count is not None:
            self.opened = replace(self.opened, exists=count)

    @staticmethod
    def _told_exists(response: Response) -> int | None:
        found = _EXISTS.match(response.head)
        return int(found[1]) if found else None

    def _failure(self, status: Status) -> MailError:
        error = imap_status.failure(status, doing=self._stream.doing, shown=self._stream.secured)
        if status.kind == "BYE":
            self._stream.close()
        return error


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
