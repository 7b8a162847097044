"""The sandbox's eight ports on 127.0.0.1: chosen once, then kept, because provider apps store them."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Mapping

from sandbox.refused import Refused

HOST = "127.0.0.1"
NAMES = ("issuer", "browser", "imap", "imap_starttls", "pop3", "pop3_starttls", "smtp", "smtp_starttls")
# Below what kernels hand out for outgoing connections (from 32768 on Linux): such a one could sit on a kept port.
CHOICE = range(20000, 32000)


def listen(kept: Mapping[str, int]) -> dict[str, socket.socket]:
    """A listening socket for every name: on the kept ports if there are any, else on free ones.

    Raises Refused if a kept port is taken.
    """
    sockets: dict[str, socket.socket] = {}
    try:
        for name in NAMES:
            sockets[name] = _listen_on(kept[name], name) if kept else _listen_anywhere()
    except BaseException:
        for listener in sockets.values():
            listener.close()
        raise
    return sockets


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections in TIME_WAIT don't count
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _listen_on(port: int, name: str) -> socket.socket:
    try:
        return _bound(port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise Refused(
            f"port {port} ({name}, kept since the first start) is taken. Is the sandbox running already? If another "
            "program has it, stop that one; or delete endpoints.json in the sandbox's folder to choose new ports (the "
            "sandbox provider app in Mailhub must then be made anew)."
        ) from error


def _listen_anywhere() -> socket.socket:
    for _ in range(1000):
        try:
            return _bound(random.choice(CHOICE))  # noqa: S311 - a free port is no secret
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise Refused(f"found no free port between {CHOICE.start} and {CHOICE.stop}")
