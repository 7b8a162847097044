"""Canonical JSON (RFC 8785) of what the chain holds, and the hash over it.

The hash is computed again from what the database gives back, or from an exported file, so nothing may go in
that a round trip changes: PostgreSQL's jsonb reorders keys and rewrites numbers (keys are sorted here, floats
and integers beyond 2^53 refused), it cannot hold U+0000, and text must be encodable as UTF-8. Times are written
with the microseconds that both databases keep.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

JSON: TypeAlias = "bool | int | str | Sequence[JSON] | Mapping[str, JSON] | None"

GREATEST_INTEGER = 2**53 - 1  # RFC 7493, 2.2: what every JSON reader keeps exactly
GREATEST_DEPTH = 16
GENESIS = "0" * 64  # the previous hash of a chain's first event


class NotCanonicalError(ValueError):
    """The value has no canonical form, or would not survive a round trip through the database."""


def normal(value: object, *, depth: int = 0) -> JSON:
    """Plain JSON types with sorted keys; subclasses (choices, safe strings) become what they stand for.

    Raises NotCanonicalError. Its text names types and never the value, which may be what must not be written down.
    """
    if depth > GREATEST_DEPTH:
        raise NotCanonicalError(f"nested deeper than {GREATEST_DEPTH} levels")
    match value:
        case None | bool():
            return value
        case int():
            if abs(value) > GREATEST_INTEGER:
                raise NotCanonicalError("an integer beyond 2^53 - 1: write it as text")
            return int(value)
        case str():
            return _text(value)
        case list() | tuple():
            return [normal(item, depth=depth + 1) for item in value]
        case dict():
            if not all(isinstance(key, str) for key in value):
                raise NotCanonicalError("a key that is not text")
            # RFC 8785, 3.2.3: keys are ordered by their UTF-16 code units.
            keys = sorted((_text(key) for key in value), key=lambda key: key.encode("utf-16-be"))
            return {key: normal(value[key], depth=depth + 1) for key in keys}
    raise NotCanonicalError(
        f"{type(value).__name__} is no JSON type of the chain (text, integer, boolean, null, list, dict)"
    )


def canonical(value: object) -> bytes:
    """The one way to write `value`; raises NotCanonicalError."""
    return json.dumps(normal(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def rfc3339(at: datetime) -> str:
    """RFC 3339 in UTC with six digits of a second; raises NotCanonicalError for a time without a zone."""
    if at.tzinfo is None:
        raise NotCanonicalError("a time without a zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def chained_hash(previous_hash: str, fields: Mapping[str, object]) -> str:
    """SHA-256 (hex) of the previous event's hash, as 32 bytes, followed by the canonical JSON of `fields`."""
    return hashlib.sha256(bytes.fromhex(previous_hash) + canonical(fields)).hexdigest()


def _text(value: str) -> str:
    plain = str.__str__(value)  # an enumeration's own __str__ would name its member
    if "\0" in plain:
        raise NotCanonicalError("text with U+0000, which PostgreSQL cannot hold")
    if any("\ud800" <= character <= "\udfff" for character in plain):
        raise NotCanonicalError("text with a lone surrogate, which is no UTF-8")
    return plain
