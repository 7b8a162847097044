"""Addresses as they stand in MAIL and RCPT (RFC 5321, 4.1.2; RFC 6531)."""

from __future__ import annotations

import re
from collections.abc import Container

from mailboxes.errors import Rejected

_UNFIT = re.compile(r"[\x00-\x20\x7f<>\u0080-\u00a0\u2028\u2029\ud800-\udfff]")
LONGEST = 254  # characters (RFC 5321, 4.5.3.1.3, with its erratum)


def path(address: str, stage: str, extensions: Container[str]) -> str:
    """The address in angle brackets, its domain in ASCII where that can be. Raises Rejected on what is no address."""
    local, at, domain = address.rpartition("@")
    if not address and stage == "mail":
        return "<>"
    if not at or not local or not domain or len(address) > LONGEST or _UNFIT.search(address):
        raise Rejected(f"not an address: {_UNFIT.sub('?', address)[:80]!r}", stage=stage)
    encoded = f"{local}@{_ascii_domain(domain)}"
    if not encoded.isascii() and "SMTPUTF8" not in extensions:
        raise Rejected(f"the server cannot take the letters of {address!r} (SMTPUTF8)", stage=stage)
    return f"<{encoded}>"


def path_is_ascii(address: str) -> bool:
    local, _, domain = address.rpartition("@")
    return local.isascii() and _ascii_domain(domain).isascii()


def _ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain
