"""A point in time by which something must be over, and sockets that keep to it."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

LONGEST_SILENCE = 30.0  # seconds without a single byte before a peer counts as gone, whatever the deadline


class Deadline:
    """A total: unlike a socket's time-out it does not begin anew with each byte that drips in."""

    __slots__ = ("at", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that remain. Raises TimeoutError when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"not done within {self.seconds:g} s")
        return left

    def within(self, seconds: float) -> Deadline:
        """The sooner of this deadline and one `seconds` from now."""
        nearer = Deadline(seconds)
        return nearer if nearer.at < self.at else self

    def __repr__(self) -> str:
        return f"Deadline({self.at - time.monotonic():.3f} s left)"


def _arm(sock: TimedConnection) -> None:
    """Bounds the next step. Setting a time-out is a system call, even to what it is already: spared in bulk transfers,
    where the deadline is further away than the longest silence."""
    seconds = min(sock.deadline.left(), sock.silence)
    if sock.gettimeout() != seconds:
        sock.settimeout(seconds)


class TimedSocket(socket.socket):
    """A TCP socket whose every step is bounded by `deadline`, and by `silence` (seconds without a byte)."""

    deadline: Deadline
    silence: float = LONGEST_SILENCE

    def connect(self, address: Any) -> None:
        _arm(self)
        super().connect(address)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        _arm(self)
        return super().recv(bufsize, flags)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        _arm(self)
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        _arm(self)  # Python bounds the whole of sendall by it, not each piece
        super().sendall(data, flags)


class TimedTlsSocket(ssl.SSLSocket):
    """The same under TLS, made by the ssl module (SSLContext.sslsocket_class); gets its deadline before the handshake."""

    deadline: Deadline
    silence: float = LONGEST_SILENCE

    def do_handshake(self, block: bool = False) -> None:
        _arm(self)
        super().do_handshake(block)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        _arm(self)
        return super().read(len, buffer)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        _arm(self)  # SSLSocket.sendall calls this piece by piece
        return super().send(data, flags)


TimedConnection = TimedSocket | TimedTlsSocket
