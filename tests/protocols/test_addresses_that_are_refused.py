"""The table behind the one door: which addresses and ports an outgoing connection may reach."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

import pytest

from mailboxes.protocols.egress import PORTS, Egress, is_own, refusal

PUBLIC = Egress()


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",  # Alibaba's metadata
        "100.127.255.255",
        "127.0.0.1",
        "127.9.9.9",
        "168.63.129.16",  # Azure's metadata
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",  # Oracle's metadata
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",  # IPv4-compatible
        "::ffff:8.8.8.8",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:0:53aa:64c::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",  # Amazon's metadata
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_that_is_not_public_is_refused_on_a_mail_port(address: str) -> None:
    assert refusal(ip_address(address), 993, PUBLIC)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "198.20.0.1", "2a00:1450:4001::6d", "2607:f8b0::1"]
)
def test_a_public_address_is_open_on_the_mail_ports_alone(address: str) -> None:
    assert {port for port in range(1, 2000) if not refusal(ip_address(address), port, PUBLIC)} == PORTS


def test_an_allowed_network_opens_all_its_ports_and_no_neighbour() -> None:
    egress = Egress(allowed_networks=(ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")))

    assert not refusal(ip_address("10.1.2.3"), 8080, egress)
    assert not refusal(ip_address("fd00:1::5"), 22, egress)
    assert refusal(ip_address("10.2.0.1"), 993, egress) == "private"
    assert refusal(ip_address("::ffff:10.1.2.3"), 993, egress) == "IPv4-mapped"


def test_the_sandbox_opens_its_own_ports_on_two_loopback_addresses() -> None:
    egress = Egress(loopback_ports=frozenset({9493}))

    assert not refusal(ip_address("127.0.0.1"), 9493, egress)
    assert not refusal(ip_address("::1"), 9493, egress)
    assert refusal(ip_address("127.0.0.1"), 9494, egress)
    assert refusal(ip_address("127.0.0.2"), 9493, egress)
    assert refusal(ip_address("10.0.0.1"), 9493, egress)


def test_this_machines_own_address_is_known_without_sending_anything() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        ours = ip_address(probe.getsockname()[0])

    assert is_own(ours, 443)
    assert not is_own(ip_address("192.0.2.1"), 443)


def test_a_public_address_that_is_our_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailboxes.protocols.egress.is_own", lambda address, _: str(address) == "8.8.4.4")

    assert refusal(ip_address("8.8.4.4"), 443, PUBLIC) == "own address"
    assert not refusal(ip_address("8.8.8.8"), 443, PUBLIC)
