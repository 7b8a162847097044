"""The signed heads that this installation keeps itself."""

from __future__ import annotations

from django.conf import settings

from audit.signed_head import ChainHeads, UnreadableHeadError, read_heads
from audit.signing import own_public_keys


def own_heads() -> dict[str, ChainHeads]:
    """By chain; nothing while there is no log of heads, or when it cannot be read."""
    try:
        return read_heads(settings.MAILHUB_AUDIT_HEADS.read_bytes().splitlines(), own_public_keys())
    except (OSError, UnreadableHeadError):
        return {}
