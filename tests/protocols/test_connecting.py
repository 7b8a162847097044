"""network.open_connection: one resolution, checked addresses, verified names, total deadlines, one wording."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from mailboxes.errors import ConnectionLost, ProtocolFault, TlsRefused, Unreachable
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.network import open_connection, tls_context
from mailboxes.protocols.stream import Stream
from tests.protocols.conftest import LOOPBACK, context_for
from tests.servers.dovecot import free_ports
from tests.servers.scripted import Line, Scripted


def hello(line: Line) -> None:
    line.say(b"hello")
    line.wait_for_end()


def answers(*addresses: str) -> Any:
    """Stands in for the resolver, and counts how often it is asked."""

    def resolve(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        resolve.asked.append(host)  # type: ignore[attr-defined]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    resolve.asked = []  # type: ignore[attr-defined]
    return resolve


def test_a_verified_connection_reads_what_the_server_says(egress: Egress, server_context: ssl.SSLContext) -> None:
    with Scripted(hello, tls=server_context) as server:
        sock = open_connection("localhost", server.port, security="tls", egress=egress, deadline=Deadline(5))

        assert sock.recv(5) == b"hello"
        assert isinstance(sock, ssl.SSLSocket)
        assert sock.version() in ("TLSv1.2", "TLSv1.3")
        sock.close()


def test_an_ip_address_is_verified_as_such(egress: Egress, server_context: ssl.SSLContext) -> None:
    with Scripted(hello, tls=server_context) as server:
        open_connection("127.0.0.1", server.port, security="tls", egress=egress, deadline=Deadline(5)).close()


def test_a_name_with_one_private_answer_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = answers("8.8.8.8", "10.0.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    with pytest.raises(Unreachable) as refused:
        open_connection("imap.example.test", 993, security="tls", egress=Egress(), deadline=Deadline(5))

    assert refused.value.private == "imap.example.test:993 is 10.0.0.1: not allowed (private)"


def test_the_name_is_resolved_once_and_the_checked_address_is_dialled(
    monkeypatch: pytest.MonkeyPatch, egress: Egress
) -> None:
    with Scripted(hello) as server:
        resolve = answers("127.0.0.1")
        monkeypatch.setattr(socket, "getaddrinfo", resolve)

        sock = open_connection(
            "rebinding.test", server.port, security="starttls-later", egress=egress, deadline=Deadline(5)
        )

        assert sock.getpeername()[0] == "127.0.0.1"
        assert resolve.asked == ["rebinding.test"]
        sock.close()


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "[::1]", "localhost", "::ffff:127.0.0.1"]
)
def test_every_spelling_of_loopback_is_refused(host: str) -> None:
    with pytest.raises(Unreachable):
        open_connection(host, 993, security="tls", egress=Egress(), deadline=Deadline(5))


@pytest.mark.parametrize("host", ["", "a b", "a\r\nb", "x" * 300, "a..b", "\x00", "no.such.host.invalid"])
def test_what_is_no_host_name_is_unreachable_too(host: str) -> None:
    with pytest.raises(Unreachable):
        open_connection(host, 993, security="tls", egress=Egress(), deadline=Deadline(5))


def test_refused_closed_and_unknown_have_the_same_words(egress: Egress) -> None:
    (closed,) = free_ports(1)
    words = set()
    for host, port, rules in (
        ("10.1.2.3", 993, Egress()),
        ("localhost", closed, egress),
        ("8.8.8.8", 22, Egress()),
        ("no.such.host.invalid", 993, Egress()),
    ):
        with pytest.raises(Unreachable) as refused:
            open_connection(host, port, security="tls", egress=rules, deadline=Deadline(5))
        words.add((str(refused.value), refused.value.detail, refused.value.reason, refused.value.retryable))
        assert refused.value.private

    assert words == {("unreachable", "", "unreachable", True)}


def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch, egress: Egress
) -> None:
    with Scripted(hello) as server, socket.socket() as full:
        full.bind(("127.0.0.3", server.port))  # bound, not listening: refuses at once
        monkeypatch.setattr(socket, "getaddrinfo", answers("127.0.0.3", "127.0.0.1"))

        sock = open_connection("two.test", server.port, security="starttls-later", egress=egress, deadline=Deadline(5))

        assert sock.getpeername()[0] == "127.0.0.1"
        sock.close()


def test_a_resolver_that_hangs_ends_with_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1))
    started = time.monotonic()

    with pytest.raises(Unreachable):
        open_connection("slow.test", 993, security="tls", egress=Egress(), deadline=Deadline(0.2))

    assert time.monotonic() - started < 0.8


def test_a_certificate_for_another_name_is_refused(egress: Egress, authority: trustme.CA) -> None:
    with Scripted(hello, tls=context_for(authority, "other.test")) as server, pytest.raises(TlsRefused) as refused:
        open_connection("localhost", server.port, security="tls", egress=egress, deadline=Deadline(5))

    assert "localhost" in refused.value.detail


def test_a_certificate_of_an_unknown_authority_is_refused(egress: Egress) -> None:
    with Scripted(hello, tls=context_for(trustme.CA(), "localhost")) as server, pytest.raises(TlsRefused):
        open_connection("localhost", server.port, security="tls", egress=egress, deadline=Deadline(5))


def test_tls_below_1_2_is_refused(egress: Egress, authority: trustme.CA) -> None:
    old = context_for(authority, "localhost")
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with Scripted(hello, tls=old) as server, pytest.raises(TlsRefused):
        open_connection("localhost", server.port, security="tls", egress=egress, deadline=Deadline(5))


def test_a_server_that_speaks_in_clear_on_a_tls_port_is_refused(egress: Egress) -> None:
    with Scripted(lambda line: line.say(b"* OK hello")) as server, pytest.raises((TlsRefused, ConnectionLost)):
        open_connection("localhost", server.port, security="tls", egress=egress, deadline=Deadline(5))


def test_a_handshake_that_hangs_ends_with_the_deadline(egress: Egress) -> None:
    started = time.monotonic()
    with Scripted(Line.wait_for_end) as server, pytest.raises(ConnectionLost):
        open_connection("localhost", server.port, security="tls", egress=egress, deadline=Deadline(0.3))

    assert time.monotonic() - started < 2


def test_bytes_that_drip_in_do_not_outlive_the_deadline(egress: Egress, server_context: ssl.SSLContext) -> None:
    def drip(line: Line) -> None:
        for _ in range(100):
            line.send(b"x")
            time.sleep(0.05)

    with Scripted(drip, tls=server_context) as server:
        stream = Stream.open("localhost", server.port, tls=True, egress=egress, deadline=Deadline(0.5))
        started = time.monotonic()
        with pytest.raises(ConnectionLost):
            stream.readline(1000)

    assert time.monotonic() - started < 2


def test_a_line_over_the_limit_is_a_fault_and_ends_the_connection(egress: Egress) -> None:
    with Scripted(lambda line: line.say(b"x" * 5000)) as server:
        stream = Stream.open("localhost", server.port, tls=False, egress=egress, deadline=Deadline(5))
        with pytest.raises(ProtocolFault):
            stream.readline(1000)

        assert stream.closed


def test_the_sandboxes_authority_is_trusted_for_its_own_ports_alone(
    authority_path: Path, server_context: ssl.SSLContext
) -> None:
    with Scripted(hello, tls=server_context) as server:
        sandbox = Egress(loopback_ports=frozenset({server.port}), sandbox_ca=authority_path)
        elsewhere = Egress(allowed_networks=LOOPBACK, loopback_ports=frozenset({1}), sandbox_ca=authority_path)

        open_connection("localhost", server.port, security="tls", egress=sandbox, deadline=Deadline(5)).close()
        with pytest.raises(TlsRefused):
            open_connection("localhost", server.port, security="tls", egress=elsewhere, deadline=Deadline(5))


def test_connections_that_trust_the_same_share_one_context(egress: Egress) -> None:
    again = replace(egress, loopback_ports=frozenset({5}))

    assert tls_context(egress, sandbox=False) is tls_context(again, sandbox=False)


def test_a_list_of_authorities_that_cannot_be_read_is_named_to_the_operator_alone() -> None:
    with pytest.raises(TlsRefused) as refused:
        tls_context(Egress(ca_bundle=Path("/no/such/bundle.pem")), sandbox=False)

    assert "bundle" not in refused.value.detail
    assert "/no/such/bundle.pem" in refused.value.private
