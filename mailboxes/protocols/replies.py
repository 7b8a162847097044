"""A server's reply as people may read it: one line, short, without what could be a secret."""

from __future__ import annotations

import re
from datetime import timedelta

LONGEST = 300  # characters of a reply that are kept
LONGEST_PAUSE = timedelta(days=1)  # that a server may ask for: it could name thirty years, by mistake or not

# A token, or base64 of one: a long run of its letters. The left side of a Message-ID looks the same, but an @ follows.
_SECRET = re.compile(r"(?i)(bearer\s+\S+)|[A-Za-z0-9+/_=-]{40,}+(?!@)(?:\.[A-Za-z0-9+/_=-]+)*|ya29\.\S+|\beyJ[\w.-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_BACKOFF = re.compile(r"(?i)backoff time:?\s*(\d{1,9})\s*(milliseconds|ms|seconds|s)\b")


def redact(reply: bytes | str, secret: str = "") -> str:
    """The reply in one printable line of at most LONGEST characters; `secret` and what looks like one is left out."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    if secret:
        text = text.replace(secret, "[…]")
    text = _CONTROL.sub(" ", text).strip()
    return _SECRET.sub("[…]", text[: LONGEST * 4])[:LONGEST]


def asked_pause(reply: str) -> timedelta | None:
    """Microsoft's "Suggested Backoff Time: N milliseconds", a day at most; None when no time is named."""
    found = _BACKOFF.search(reply)
    if not found:
        return None
    count = int(found[1])
    named = timedelta(milliseconds=count) if found[2].lower().startswith("m") else timedelta(seconds=count)
    return min(named, LONGEST_PAUSE)
