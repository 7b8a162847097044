"""Which addresses an outgoing connection may reach: the table behind network.open_connection."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PORTS = frozenset({443, 993, 143, 995, 110, 465, 587})

# IANA's special-purpose registries (RFC 6890 and its updates), and what else never holds a mail server. The library's
# `is_global` is not asked: what it answers for some of these has changed between patch releases of Python.
_REFUSED: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier-grade NAT"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "metadata"),  # Azure's host: a public address that answers only from inside
    ("169.254.0.0/16", "link-local, metadata"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("2001::/32", "Teredo"),
    ("2001::/23", "protocol assignments"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("3fff::/20", "documentation"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
)
_REFUSED_V4 = tuple((net, why) for text, why in _REFUSED if isinstance(net := ip_network(text), IPv4Network))
_REFUSED_V6 = tuple((net, why) for text, why in _REFUSED if isinstance(net := ip_network(text), IPv6Network))
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291, 2.4: all else in IPv6 is not a public host


@dataclass(frozen=True)
class Egress:
    """What one tenant's connections may reach besides public addresses at mail and HTTPS ports."""

    allowed_networks: tuple[Network, ...] = ()
    """Reachable on every port."""
    loopback_ports: frozenset[int] = frozenset()
    """The sandbox's own ports, on 127.0.0.1 and ::1 alone."""
    ca_bundle: Path | None = None
    """A PEM file of more authorities to trust, beside the system's."""
    sandbox_ca: Path | None = None
    """The authority of the sandbox: trusted for its own ports and nowhere else."""

    def is_sandbox(self, address: Address, port: int) -> bool:
        return port in self.loopback_ports and str(address) in ("127.0.0.1", "::1")


def refusal(address: Address, port: int, egress: Egress) -> str:
    """Why this address and port may not be connected to; '' when it may. For the operator's log, not for tenants."""
    if egress.is_sandbox(address, port) or any(address in network for network in egress.allowed_networks):
        return ""
    if isinstance(address, IPv4Address):
        why = next((why for network, why in _REFUSED_V4 if address in network), "")
    else:
        why = next((why for network, why in _REFUSED_V6 if address in network), "")
        why = why or ("" if address in _GLOBAL_UNICAST else "not a public address")
    if why:
        return why
    if port not in PORTS:
        return "port"
    return "own address" if is_own(address, port) else ""


def is_own(address: Address, port: int) -> bool:
    """Does this machine hold the address? The kernel answers with an own address only by itself; nothing is sent."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), port))
        except OSError:
            return False
        return bool(probe.getsockname()[0] == str(address))
