"""Addresses that people and programs type, taken apart and refused in words (RFC 5321, 4.1.2; RFC 5322, 3.4)."""

from __future__ import annotations

import re
from typing import NamedTuple

import idna

LONGEST_NAME = 200  # characters of a display name
LONGEST_LOCAL = 64  # octets before the @ (RFC 5321, 4.5.3.1.1)
LONGEST_ADDRESS = 254  # octets (RFC 5321, 4.5.3.1.3, without the angle brackets)

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class NamedAddress(NamedTuple):
    """A display name ('' for none) and an address in ASCII, ready for the wire."""

    name: str
    address: str


class BadAddress(ValueError):
    """Says in words what is wrong with which address."""


def has_control_characters(text: str) -> bool:
    """Line ends, NUL and their like, and broken surrogates: what has no place in a header."""
    return bool(_CONTROL.search(text))


def parse(entry: str) -> NamedAddress:
    """`anna@example.org` or `Anna Example <anna@example.org>`. Raises BadAddress."""
    shown = _CONTROL.sub("\ufffd", entry)[:80]
    if has_control_characters(entry):
        raise BadAddress(f"“{shown}” holds a line end or another control character.")
    name, address = _split(entry.strip(), shown)
    if len(name) > LONGEST_NAME:
        raise BadAddress(f"The name in “{shown}…” is longer than {LONGEST_NAME} characters.")
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise BadAddress(f"“{shown}” is no e-mail address: it needs a name, an @ and a domain.")
    if not local.isascii():
        raise BadAddress(f"“{shown}” has letters before the @ that mail servers do not take.")
    if len(local) > LONGEST_LOCAL or not _LOCAL.fullmatch(local):
        raise BadAddress(f"“{shown}” is no e-mail address: look at the part before the @.")
    address = f"{local}@{_domain(domain, shown)}"
    if len(address) > LONGEST_ADDRESS:
        raise BadAddress(f"“{shown}…” is longer than an address may be ({LONGEST_ADDRESS} characters).")
    return NamedAddress(name, address)


def split_list(text: str) -> list[str]:
    """The entries of one line as people type it: parted by commas, semicolons or line ends outside of quotes."""
    entries = re.findall(r'(?:"(?:\\.|[^"\\])*"|[^,;\r\n"]|")+', text)
    return [entry.strip() for entry in entries if entry.strip()]


def _split(entry: str, shown: str) -> tuple[str, str]:
    if not entry.endswith(">"):
        return "", entry
    name, bracket, address = entry[:-1].rpartition("<")
    if not bracket:
        raise BadAddress(f"“{shown}” has a “>” without a “<”.")
    name = name.strip()
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return name, address.strip()


def _domain(domain: str, shown: str) -> str:
    try:
        ascii_domain = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        raise BadAddress(f"“{shown}” is no e-mail address: its domain cannot exist.") from None
    labels = ascii_domain.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise BadAddress(f"“{shown}” is no e-mail address: look at the part after the @.")
    if len(labels) < 2 and ascii_domain != "localhost":
        raise BadAddress(f"“{shown}” is no e-mail address: its domain is incomplete.")
    return ascii_domain
