"""The one door for outgoing connections (DESIGN, "Outgoing connections").

A name is resolved once; every answer must be allowed; the connection goes to an address that was checked, so a name
that changes its answer in between (DNS rebinding) gains nothing. Tenants see one wording for refused, closed and
filtered: which it was stands in MailError.private.
"""

from __future__ import annotations

import socket
import ssl
import threading
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, cast

from mailboxes.errors import ConnectionLost, MailError, ProtocolFault, TlsRefused, Unreachable
from mailboxes.protocols.deadline import Deadline, TimedConnection, TimedSocket, TimedTlsSocket
from mailboxes.protocols.egress import Address, Egress, refusal

__all__ = ["Deadline", "Egress", "Security", "open_connection", "tls_context", "wrap_tls"]

Security = Literal["tls", "starttls-later"]


def open_connection(host: str, port: int, *, security: Security, egress: Egress, deadline: Deadline) -> TimedConnection:
    """A connected socket, with TLS already up unless the protocol upgrades later by STARTTLS (`wrap_tls`).

    The socket keeps to `deadline` until its attribute of that name is set anew.
    Raises Unreachable (one code for unknown, refused, closed and filtered) and TlsRefused.
    """
    addresses = _resolve(host, port, deadline)
    for address in addresses:
        if why := refusal(address, port, egress):
            raise Unreachable(private=f"{host}:{port} is {address}: not allowed ({why})")
    connected = _connect(host, port, addresses, deadline)
    if security == "starttls-later":
        return connected
    return wrap_tls(connected, host, egress, deadline)


def wrap_tls(sock: TimedConnection, host: str, egress: Egress, deadline: Deadline) -> TimedTlsSocket:
    """Puts TLS on a connected socket; closes it when that fails.

    Raises TlsRefused (certificate, name, version), ConnectionLost (ended or too slow).
    """
    raw: socket.socket = sock
    try:
        peer = sock.getpeername()
    except OSError as error:
        raw.close()
        raise ConnectionLost("the connection ended before the TLS handshake") from error
    try:
        context = tls_context(egress, sandbox=egress.is_sandbox(_address(peer[0]), peer[1]))
        secured = context.wrap_socket(raw, server_hostname=host.rstrip("."), do_handshake_on_connect=False)
        raw = secured
        timed = cast(TimedTlsSocket, secured)
        timed.deadline = deadline
        timed.do_handshake()
    except TlsRefused:
        raw.close()
        raise
    except ssl.SSLCertVerificationError as error:
        raw.close()
        raise TlsRefused(
            f"the certificate is not acceptable: {error.verify_message}", private=f"{host}:{peer[1]}"
        ) from error
    except ssl.SSLEOFError as error:
        raw.close()
        raise ConnectionLost("the connection ended during the TLS handshake", private=f"{host}:{peer[1]}") from error
    except ssl.SSLError as error:
        raw.close()
        raise TlsRefused(f"no TLS connection: {error.reason or 'handshake failed'}", private=str(error)) from error
    except ValueError as error:  # a name that cannot stand in a certificate
        raw.close()
        raise TlsRefused("the host name cannot be verified", private=f"{host!r}: {error}") from error
    except OSError as error:
        raw.close()
        words = "the TLS handshake took too long" if isinstance(error, TimeoutError) else "lost in the TLS handshake"
        raise ConnectionLost(words, private=f"{host}:{peer[1]}: {type(error).__name__}") from error
    return timed


def tls_context(egress: Egress, *, sandbox: bool) -> ssl.SSLContext:
    """The context for these authorities: one for all connections that trust the same, as loading takes milliseconds."""
    path = egress.sandbox_ca if sandbox and egress.sandbox_ca else egress.ca_bundle
    try:
        stamp = path.stat().st_mtime_ns if path else 0
        return _context(path, stamp, alone=bool(sandbox and egress.sandbox_ca))
    except (OSError, ssl.SSLError) as error:
        raise TlsRefused("the list of trusted authorities cannot be read", private=f"{path}: {error}") from error


@lru_cache(maxsize=16)
def _context(path: Path | None, stamp: int, *, alone: bool) -> ssl.SSLContext:
    if alone:
        context = ssl.create_default_context(cafile=path)
    else:
        context = ssl.create_default_context()
        if path:
            context.load_verify_locations(cafile=path)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TimedTlsSocket
    return context


def _address(text: str) -> Address:
    return ip_address(text.partition("%")[0])


def _resolve(host: str, port: int, deadline: Deadline) -> list[Address]:
    """Every address of the name, once each, in the resolver's order."""
    if not host or len(host) > 253 or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in host):
        raise Unreachable(private=f"{host[:80]!r} is no host name")
    try:
        return [ip_address(host)]
    except ValueError:
        found: list[Address] = []
    for answer in _look_up(host, port, deadline):
        address = _address(str(answer[4][0]))
        if address not in found:
            found.append(address)
    if not found:
        raise Unreachable(private=f"{host} has no address")
    return found


def _look_up(
    host: str, port: int, deadline: Deadline
) -> list[tuple[object, object, object, object, tuple[object, ...]]]:
    """getaddrinfo knows no deadline, so it runs beside us; one that hangs ends with the resolver's own patience."""
    outcome: list[object] = []

    def ask() -> None:
        try:
            outcome.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            outcome.append(error)

    asking = threading.Thread(target=ask, name="resolve", daemon=True)
    try:
        asking.start()
        asking.join(deadline.left())
    except TimeoutError as error:
        raise Unreachable(private=f"no time left to resolve {host}") from error
    if not outcome:
        raise Unreachable(private=f"resolving {host} took longer than {deadline.seconds:g} s")
    if isinstance(outcome[0], Exception):
        raise Unreachable(private=f"{host} cannot be resolved: {outcome[0]}") from outcome[0]
    return cast("list[tuple[object, object, object, object, tuple[object, ...]]]", outcome[0])


def _connect(host: str, port: int, addresses: list[Address], deadline: Deadline) -> TimedSocket:
    """To the first address that answers; each gets its share of the time that is left."""
    failures: list[str] = []
    for position, address in enumerate(addresses):
        sock = TimedSocket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        try:
            sock.deadline = deadline.within(deadline.left() / (len(addresses) - position))
            sock.connect((str(address), port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.deadline = deadline
            return sock
        except OSError as error:
            sock.close()
            failures.append(f"{address}: {error}")
    raise Unreachable(private=f"{host}:{port}: " + "; ".join(failures))


def wire_error(error: OSError | EOFError, doing: str) -> MailError:
    """What a fault of the socket in the middle of a conversation means. `doing` goes on with "while"."""
    if isinstance(error, TimeoutError):
        return ConnectionLost(f"no answer in time while {doing}")
    if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return ProtocolFault(f"TLS broke while {doing}", private=str(error))
    return ConnectionLost(f"the connection ended while {doing}", private=type(error).__name__)
