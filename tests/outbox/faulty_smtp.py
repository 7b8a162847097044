"""An SMTP server over TLS that fails on demand at any stage, and counts exactly what it has taken."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Self

from tests.servers.smtp_sink import Received

DROP = "drop"  # hangs up instead of an answer
TAKE_AND_DROP = "take and drop"  # after the dot: keeps the message, then hangs up
HOLD = "hold"  # answers only when released (after the dot: keeps the message first)


class _HangUp(Exception):
    pass


@dataclass
class FaultySmtp:
    """`faults`: by stage (greeting, ehlo, auth, mail, rcpt, data, dot) what to answer instead, one use each."""

    tls: ssl.SSLContext
    accounts: dict[str, str] = field(default_factory=dict)  # token → account; empty: any token
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    always: dict[str, str] = field(default_factory=dict)
    taken: list[Received] = field(default_factory=list)
    connections: int = 0
    extensions: tuple[str, ...] = ("PIPELINING", "SIZE 30000000", "ENHANCEDSTATUSCODES")
    delay: float = 0.0  # seconds between taking a message and answering

    def __enter__(self) -> Self:
        self.holding, self.released, self.data_begun = threading.Event(), threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._serving: set[int] = set()
        threading.Thread(target=self._accept, name="faulty-smtp", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.close()

    def fail(self, stage: str, *answers: str) -> None:
        self.faults[stage].extend(answers)

    @property
    def busy(self) -> bool:
        """A connection is still being served."""
        return bool(self._serving)

    def copies_of(self, message_id: str) -> int:
        return sum(f"Message-ID: {message_id}\r\n".encode() in received.raw for received in self.taken)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._serving.add(id(sock))
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with contextlib.suppress(_HangUp, OSError, ValueError), sock:
                sock.settimeout(30)
                self._open.add(sock)
                with self.tls.wrap_socket(sock, server_side=True) as secured, secured.makefile("rwb") as wire:
                    self._open.add(secured)
                    self._converse(wire)
        finally:
            self._serving.discard(id(sock))

    def _fault(self, stage: str) -> str:
        waiting = self.faults[stage]
        return waiting.pop(0) if waiting else self.always.get(stage, "")

    def _converse(self, wire: object) -> None:
        write, flush, readline = wire.write, wire.flush, wire.readline  # type: ignore[attr-defined]

        def say(stage: str, usual: str) -> bool:
            """Whether the usual answer was given."""
            answer = self._fault(stage) or usual
            if answer == DROP:
                raise _HangUp
            if answer == HOLD:
                self.holding.set()
                self.released.wait(30)
                answer = usual
            write(answer.encode() + b"\r\n")
            flush()
            return answer == usual

        if not say("greeting", "220 faulty ESMTP"):
            return
        sender, recipients = "", []
        while line := readline(65536):
            verb, _, rest = line.decode().strip().partition(" ")
            match verb.upper():
                case "EHLO":
                    lines = ["250-faulty", *(f"250-{name}" for name in self.extensions), "250 AUTH XOAUTH2"]
                    say("ehlo", "\r\n".join(lines))
                case "AUTH":
                    write(b"334 \r\n")
                    flush()
                    token = base64.b64decode(readline(65536)).split(b"auth=Bearer ")[1].rstrip(b"\x01").decode()
                    known = not self.accounts or token in self.accounts
                    say("auth", "235 2.7.0 Welcome" if known else "535 5.7.8 Bad token")
                case "MAIL":
                    sender, recipients = rest.partition("<")[2].partition(">")[0], []
                    say("mail", "250 2.1.0 OK")
                case "RCPT":
                    if say("rcpt", "250 2.1.5 OK"):
                        recipients.append(rest.partition("<")[2].partition(">")[0])
                case "DATA":
                    self.data_begun.set()
                    if say("data", "354 Go on"):
                        self._content(say, readline, sender, tuple(recipients))
                case "QUIT":
                    say("quit", "221 Bye")
                    return
                case _:
                    say("other", "250 OK")

    def _content(self, say: object, readline: object, sender: str, recipients: tuple[str, ...]) -> None:
        lines = []
        while (line := readline(65536)) != b".\r\n":  # type: ignore[operator]
            if not line:
                raise _HangUp  # the dot never came: not a message
            lines.append(line[1:] if line.startswith(b".") else line)
        answer = self._fault("dot")
        received = Received(sender, recipients, b"".join(lines))
        if answer in ("", TAKE_AND_DROP, HOLD):
            self.taken.append(received)
            time.sleep(self.delay)
        if answer in (DROP, TAKE_AND_DROP):
            raise _HangUp
        if answer == HOLD:
            self.holding.set()
            self.released.wait(30)
            answer = ""
        say("reply", answer or f"250 2.0.0 OK queued as {len(self.taken)}")  # type: ignore[operator]
