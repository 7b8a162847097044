"""Ids that sort by the time they were made."""

from __future__ import annotations

import secrets
import time
import uuid


def new_id() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562, 5.7), ordered to about a quarter of a microsecond.

    The twelve bits after the version carry the fraction of the millisecond (RFC 9562, 6.2, method 3), so that
    rows made one after another by one process are neighbours in an index; 62 bits stay random.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(62)
    return uuid.UUID(int=value)
