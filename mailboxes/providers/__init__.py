"""What Mailhub knows about providers, as frozen facts: siblings of one shape, none of them code that branches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailboxes.providers.base import Provider, Server
from mailboxes.providers.google import GOOGLE
from mailboxes.providers.microsoft import MICROSOFT
from mailboxes.providers.oidc import OIDC
from mailboxes.providers.sandbox import sandbox

__all__ = ["GOOGLE", "MICROSOFT", "OIDC", "Provider", "Server", "by_preset"]

_KNOWN = {provider.preset: provider for provider in (GOOGLE, MICROSOFT, OIDC)}


def by_preset(preset: str, sandbox_endpoints: Mapping[str, Any] | None = None) -> Provider:
    """The facts behind a provider app's preset. Raises KeyError for one that nobody knows."""
    if preset == "sandbox":
        return sandbox(sandbox_endpoints)
    return _KNOWN[preset]
