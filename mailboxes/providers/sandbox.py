"""The built-in sandbox: a real provider on this machine, whose addresses lie in its endpoints.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mailboxes.providers.base import Provider, Server


def sandbox(endpoints: Mapping[str, Any] | None) -> Provider:
    """Its facts, read from what the sandbox wrote; without addresses while it has not come up yet."""
    found = endpoints or {}
    issuer = urlsplit(str(found.get("issuer", "")))
    return Provider(
        preset="sandbox",
        name="Sandbox",
        issuer=str(found.get("issuer", "")),
        servers={
            name: Server(found[name]["host"], found[name]["port"], found[name]["security"])
            for name in ("imap", "pop3", "smtp")
            if name in found
        },
        scopes={"imap": ("mail.imap",), "pop3": ("mail.pop",), "smtp": ("mail.smtp",)},
        authorize_extra={"prompt": "consent"},
        locked_hosts=frozenset({f"{issuer.hostname}:{issuer.port}"}) if issuer.port else frozenset(),
        loopback_authorization=bool(found),
        register_steps=(
            "Nothing to do: the sandbox knows Mailhub already. Its accounts need no password and hold invented mail.",
        ),
    )
