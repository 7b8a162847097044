"""Lines and bytes over a timed socket, with limits on both and every fault of the line turned into ours."""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
from typing import cast

from mailboxes.errors import ConnectionLost, ProtocolFault
from mailboxes.protocols.deadline import Deadline, TimedConnection
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.network import Security, open_connection, wire_error, wrap_tls

BUFFER = 128 * 1024


class Stream:
    """One conversation. `doing` names the step for people: "no answer in time while <doing>"."""

    def __init__(self, sock: TimedConnection, *, secured: bool) -> None:
        self._sock = sock
        self._reader = self._open_reader(secured)
        self.secured = secured
        self.closed = False
        self.doing = "connecting"

    @classmethod
    def open(cls, host: str, port: int, *, tls: bool, egress: Egress, deadline: Deadline) -> Stream:
        """`tls=False`: in clear until `secure`. Raises Unreachable, TlsRefused, ConnectionLost."""
        security: Security = "tls" if tls else "starttls-later"
        return cls(open_connection(host, port, security=security, egress=egress, deadline=deadline), secured=tls)

    def _open_reader(self, secured: bool) -> io.BufferedReader:
        # Before TLS nothing may be read ahead: what a man in the middle puts behind the server's consent to STARTTLS
        # would be taken for the server's words under TLS (CVE-2011-0411). Unread, it spoils the handshake instead.
        return cast(io.BufferedReader, self._sock.makefile("rb", buffering=BUFFER if secured else 0))

    @property
    def deadline(self) -> Deadline:
        return self._sock.deadline

    @deadline.setter
    def deadline(self, deadline: Deadline) -> None:
        self._sock.deadline = deadline

    def wait_longer(self, seconds: float) -> None:
        """Lets the peer be silent for so long (within the deadline), where its work may take time."""
        self._sock.silence = seconds

    def local_address(self) -> str:
        """Our side of the connection, as an address literal of RFC 5321, 4.1.3."""
        try:
            address = str(self._sock.getsockname()[0])
        except OSError as error:
            raise self._broken(error) from error
        return f"[IPv6:{address}]" if ":" in address else f"[{address}]"

    def overheard(self) -> bytes | None:
        """What the peer said although it was not its turn, without waiting: b"" when it hung up, None for nothing.

        The conversation is over when something was said: it is taken out of the stream.
        """
        try:
            if not select.select([self._sock], [], [], 0)[0]:
                return None
            self._sock.settimeout(0)
            if isinstance(self._sock, ssl.SSLSocket):
                return bytes(ssl.SSLSocket.read(self._sock, 4096))  # ours would wait
            return socket.socket.recv(self._sock, 4096)
        except (ssl.SSLWantReadError, BlockingIOError):  # a message of TLS itself, such as a session ticket
            return None
        except (OSError, ValueError):
            return b""

    def secure(self, host: str, egress: Egress) -> None:
        """Puts TLS on the connection (after the server agreed to STARTTLS)."""
        self._reader.close()
        self.closed = True  # until the handshake has succeeded
        self._sock = wrap_tls(self._sock, host, egress, self._sock.deadline)
        self._reader = self._open_reader(secured=True)
        self.secured, self.closed = True, False

    def send(self, data: bytes | memoryview, *, keep: bool = False) -> None:
        """`keep`: after a fault the connection stays, so that the peer's last words can still be read."""
        try:
            self._sock.sendall(data)
        except OSError as error:
            if not keep:
                self.close()
            raise wire_error(error, self.doing) from error

    def readline(self, limit: int) -> bytes:
        """One line with its end. Raises ConnectionLost at the end of the stream, ProtocolFault over `limit` bytes."""
        try:
            line = self._reader.readline(limit)
        except (OSError, ValueError) as error:
            raise self._broken(error) from error
        if line[-1:] != b"\n":
            self.close()
            if len(line) >= limit:
                raise ProtocolFault(f"a line of more than {limit} bytes while {self.doing}")
            raise ConnectionLost(f"the connection ended while {self.doing}")
        return line

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes. Raises ConnectionLost when there are fewer."""
        try:
            data = self._reader.read(size)
        except (OSError, ValueError) as error:
            raise self._broken(error) from error
        if len(data) != size:
            self.close()
            raise ConnectionLost(f"the connection ended while {self.doing}")
        return data

    def _broken(self, error: OSError | ValueError) -> Exception:
        self.close()
        if isinstance(error, OSError):
            return wire_error(error, self.doing)
        return ConnectionLost(f"the connection was closed while {self.doing}")

    def close(self) -> None:
        """At once, without a farewell; may be called again."""
        self.closed = True
        with contextlib.suppress(OSError, ValueError):
            self._reader.close()
        with contextlib.suppress(OSError):
            self._sock.close()
