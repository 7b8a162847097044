"""Typed readers of the environment: a misspelt value stops the start, and a secret may come from a file.

Every NAME may be given as NAME_FILE too: the path of a file that holds the value (secret stores).
"""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    """The variable, or the content of the file that NAME_FILE names.

    Raises ImproperlyConfigured when neither is there and no default is given, or the file cannot be read.
    """
    file = os.environ.get(f"{name}_FILE")
    if file:
        try:
            return Path(file).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE names {file!r}, which cannot be read: {error.strerror}") from None
    value = os.environ.get(name)
    if value is not None and value.strip():
        return value.strip()
    if default is None:
        raise ImproperlyConfigured(f"{name} must be set (or {name}_FILE, the path of a file that holds it)")
    return default


def switch(name: str, default: bool) -> bool:
    """on/off, true/false, yes/no, 1/0; anything else stops the start."""
    raw = text(name, "on" if default else "off").lower()
    if raw in ("on", "true", "yes", "1"):
        return True
    if raw in ("off", "false", "no", "0"):
        return False
    raise ImproperlyConfigured(f"{name} must be on or off, got {raw!r}")


def number(name: str, default: int, *, least: int = 0) -> int:
    """A whole number, at least `least`."""
    raw = text(name, str(default))
    if not raw.isdecimal() or int(raw) < least:
        raise ImproperlyConfigured(f"{name} must be a whole number from {least} up, got {raw!r}")
    return int(raw)


def networks(name: str) -> list[tuple[IPv4Network | IPv6Network, str]]:
    """A comma list of CIDRs; `10.0.0.0/8@tenant` holds for that tenant's slug alone ('' means all)."""
    found = []
    for part in filter(None, (p.strip() for p in text(name, "").split(","))):
        cidr, _, tenant = part.partition("@")
        try:
            found.append((ip_network(cidr), tenant))
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {part!r} is no network: {error}") from None
    return found
