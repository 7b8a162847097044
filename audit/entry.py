"""One event as it is hashed and exported: plain JSON, the same from a database row and from a line of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from audit.canonical import JSON, canonical, chained_hash, rfc3339

HASHED = (
    "chain",
    "seq",
    "tenant_id",
    "at",
    "actor_kind",
    "actor_id",
    "actor_label",
    "action",
    "object_type",
    "object_id",
    "object_label",
    "outcome",
    "detail",
)
FIELDS = (*HASHED, "previous_hash", "hash")
_HASH = re.compile(r"[0-9a-f]{64}")

Entry = Mapping[str, JSON]


class UnreadableEntryError(ValueError):
    """A line of an export, or a row, that is no event."""


def from_row(row: Mapping[str, object]) -> Entry:
    """The entry of a row's values: ids as text, the time as RFC 3339. Raises NotCanonicalError."""
    return {name: _plain(row[name]) for name in FIELDS}


def entry_hash(entry: Entry) -> str:
    """What `hash` must be. Raises NotCanonicalError, UnreadableEntryError."""
    previous_hash = entry["previous_hash"]
    if not isinstance(previous_hash, str) or not _HASH.fullmatch(previous_hash):
        raise UnreadableEntryError("its previous hash is not 64 hexadecimal digits")
    return chained_hash(previous_hash, {name: entry[name] for name in HASHED})


def to_line(entry: Entry) -> bytes:
    """The entry as one line of an export."""
    return canonical(entry) + b"\n"


def from_line(line: bytes) -> Entry:
    """Read one line of an export; raises UnreadableEntryError unless it holds exactly the fields of an event."""
    try:
        found = json.loads(line, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError):
        raise UnreadableEntryError("it is not JSON with unique keys") from None
    if not isinstance(found, dict) or set(found) != set(FIELDS):
        raise UnreadableEntryError("it does not hold exactly the fields of an event")
    if type(found["seq"]) is not int or not isinstance(found["chain"], str):
        raise UnreadableEntryError("its chain or number is of the wrong kind")
    return found


def _plain(value: object) -> JSON:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    return value  # type: ignore[return-value]  # the rest of a row is JSON; canonical() refuses what is not


def _without_twins(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found
