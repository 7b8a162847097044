"""A server that follows a script on a real socket: for what no sound mail server does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field


class Line:
    """The server's side of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(10)
        self._rest = b""
        self.heard: list[bytes] = []

    def say(self, *lines: bytes) -> None:
        self.sock.sendall(b"".join(line + b"\r\n" for line in lines))

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def hear(self) -> bytes:
        """The client's next line without its end; b"" when it hung up."""
        while b"\r\n" not in self._rest:
            piece = self.sock.recv(65536)
            if not piece:
                return b""
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\r\n")
        self.heard.append(line)
        return line

    def answer(self, *lines: bytes) -> bytes:
        """Hears an IMAP command and answers it; TAG in the lines stands for its tag. Returns the command."""
        tag, _, command = self.hear().partition(b" ")
        self.say(*(line.replace(b"TAG", tag) for line in lines))
        return command

    def hear_until_dot(self) -> bytes:
        content = b""
        while (line := self.hear()) != b".":
            content += line + b"\r\n"
        return content

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def wait_for_end(self) -> None:
        """Says nothing more until the client hangs up."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass


@dataclass
class Scripted:
    """Each connection runs `script` in a thread of its own; what it raises is raised again at the end."""

    script: Callable[[Line], None]
    tls: ssl.SSLContext | None = None
    lines: list[Line] = field(default_factory=list)
    host: str = "localhost"

    def __enter__(self) -> Scripted:
        self._errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        for line in self.lines:
            with contextlib.suppress(OSError):
                line.sock.close()
        for thread in self._threads:
            thread.join(5)
        if self._errors and kind is None:
            raise self._errors[0]

    @property
    def heard(self) -> list[bytes]:
        return [said for line in self.lines for said in line.heard]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock = self.tls.wrap_socket(sock, server_side=True) if self.tls else sock
            line = Line(sock)
            self.lines.append(line)
            with contextlib.suppress(OSError):
                self.script(line)
            line.sock.close()
        except OSError:  # the client did not like what it saw: often the point
            sock.close()
        except BaseException as error:
            self._errors.append(error)
            sock.close()
